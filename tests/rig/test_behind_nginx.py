"""Behind nginx: a person goes on writing while nginx reloads and while the server behind it restarts."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.app.live_page import LivePage
from tests.app.server import AppServer, running_server
from tests.rig.figures import new_seed
from tests.rig.nginx import NAME, Proxy, find, running_nginx
from tests.rig.stubborn_page import StubbornPage
from tests.rig.typist import FIRST_LETTER, Typist, wait_for
from tests.web.raw_page import Reply

pytestmark = [
    pytest.mark.app,
    pytest.mark.skipif(find() is None, reason="nginx is not installed (Debian: apt-get install nginx-light)"),
]

ORIGIN = f"https://{NAME}"
OPTIONS = ("--threads", "1", "--behind-proxy", "--public-origin", ORIGIN)
TRUST = ssl._create_unverified_context()  # the test made the certificate itself


@pytest.fixture
def nginx_folder(tmp_path: Path) -> Path:
    (tmp_path / "nginx").mkdir()
    return tmp_path / "nginx"


def server_behind_proxy(folder: Path, port: int = 0) -> AbstractContextManager[AppServer]:
    return running_server(folder / "data", "eventlet", fakes="paced-30", options=OPTIONS, port=port)


def ask(proxy: Proxy, path: str, method: str = "GET", name: str = NAME, **headers: str) -> Reply:
    connection = http.client.HTTPSConnection(name, proxy.port)
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as plain,
        TRUST.wrap_socket(plain, server_hostname=name) as channel,
    ):
        connection.sock = channel
        connection.request(method, path, headers={"Host": name, **headers})
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())


def test_pages_pass_with_their_headers_and_other_requests_are_refused(tmp_path: Path, nginx_folder: Path) -> None:
    with server_behind_proxy(tmp_path) as app, running_nginx(str(find()), nginx_folder, app.port) as proxy:
        page = ask(proxy, "/")
        assert page.status == 200
        assert page.headers["Strict-Transport-Security"]
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert {"Secure", "HttpOnly", "SameSite=Strict"} <= set(page.headers["Set-Cookie"].split("; "))
        assert ask(proxy, "/metrics").status == 404
        assert ask(proxy, "/api/stories", Origin="https://evil.example").status == 200, (
            "the browser keeps a foreign page from reading the answer"
        )
        assert ask(proxy, "/api/stories", "POST", Origin="https://evil.example").status == 403
        with pytest.raises(ssl.SSLError):
            ask(proxy, "/", name="evil.example")
        plain = http.client.HTTPConnection("127.0.0.1", proxy.plain_port, timeout=20)
        plain.request("GET", "/x", headers={"Host": NAME})
        assert plain.getresponse().headers["Location"] == f"{ORIGIN}/x"
        plain.close()


def test_reloading_nginx_and_restarting_the_server_only_delay_a_writer(tmp_path: Path, nginx_folder: Path) -> None:
    seed = new_seed()
    options = {"host": NAME, "sslopt": {"cert_reqs": ssl.CERT_NONE, "server_hostname": NAME}}
    with ExitStack() as stack:
        with server_behind_proxy(tmp_path) as app:
            proxy = stack.enter_context(running_nginx(str(find()), nginx_folder, app.port))
            draft = app.draft()
            page = StubbornPage(f"wss://127.0.0.1:{proxy.port}", app.cookie, draft, ORIGIN, **options)
            typist = Typist(stack.enter_context(page), FIRST_LETTER, str(seed))
            typist.start()
            stack.callback(typist.stop)
            wait_for(lambda: len(typist.typed) > 5)
            proxy.reload()
            wait_for(lambda: len(typist.typed) > 20)
            page.settle()
            assert page.connections == 1, "a reload disconnects no page"
        typed = len(typist.typed)
        wait_for(lambda: len(typist.typed) > typed + 5)
        assert not page.is_saved
        with server_behind_proxy(tmp_path, app.port):
            typist.stop()
            page.settle()
            with LivePage(app.port, app.cookie, draft) as fresh:
                assert fresh.text == page.text
                assert all(fresh.text.count(letter) == 1 for letter in typist.typed)
