"""Hub probe: a process that asks the model hub about models, `python -m generator.models.hub_probe ID…`.

Prints a JSON object that maps each id to an empty text if the hub has a usable model, else to the reason, a sentence.
Owns the requests to the hub. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE have the meaning that huggingface_hub gives
them. Knows nothing of the menu or of the local cache.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request

from generator.models.hub_check import UNREACHABLE
from generator.models.model_folder import MAX_CONFIG_BYTES, Unusable, check_config, check_type

_TIMEOUT_SECONDS = 4.0


def main() -> None:
    """Print the reason for each id of the command line."""
    sys.stdout.write(json.dumps({model_id: reason(model_id) for model_id in sys.argv[1:]}))


def reason(model_id: str) -> str:
    """Return why the hub's model cannot be offered, as a sentence, or an empty text if it can."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return UNREACHABLE
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    request = urllib.request.Request(f"{endpoint.rstrip('/')}/{model_id}/resolve/main/config.json")
    if token := os.environ.get("HF_TOKEN"):
        # An unredirected header, so that a server to which the hub redirects does not receive the token.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            config = json.loads(answer.read(MAX_CONFIG_BYTES))
        check_config(config)
        check_type(config)
    except urllib.error.HTTPError as error:
        return _refusal(error.code)
    except Unusable as error:
        return str(error)
    except (OSError, ValueError, AttributeError):
        return UNREACHABLE
    return ""


def _refusal(status: int) -> str:
    """Return the reason for an HTTP error. The hub answers 401 also for models that do not exist."""
    if status in (401, 403, 404):
        return (
            "No folder beside server.py has this name, and the model hub has no such model that this server may read."
        )
    return f"The model hub answers with an error ({status}). Put the model's folder beside server.py."


if __name__ == "__main__":
    main()
