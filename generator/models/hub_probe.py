"""Asks the model hub whether it would hand over models: `python -m generator.models.hub_probe ID…`.

Prints one JSON object: for each id an empty text, or the reason against it as a sentence. Owns the question only;
HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean what they mean to huggingface_hub.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request

from generator.models.hub_check import UNREACHABLE
from generator.models.model_folder import MAX_CONFIG_BYTES, Unusable, check_config, check_type

_SECONDS = 4.0


def main() -> None:
    sys.stdout.write(json.dumps({model_id: reason(model_id) for model_id in sys.argv[1:]}))


def reason(model_id: str) -> str:
    """Why the hub's model cannot be offered; empty if it can."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return UNREACHABLE
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    request = urllib.request.Request(f"{endpoint.rstrip('/')}/{model_id}/resolve/main/config.json")
    if token := os.environ.get("HF_TOKEN"):
        # Not passed on where the hub redirects to.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
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
    if status in (401, 403, 404):
        # The hub answers 401 for models that do not exist, too.
        return "There is no such folder beside server.py, and the model hub has no such model that anybody may read."
    return f"The model hub answers with an error ({status}); put the model's folder beside server.py."


if __name__ == "__main__":
    main()
