"""Calls a generated Python client as told on standard input; prints what each call answered.

    python call_generated.py FOLDER URL KEY < calls.json

A call is [operation, arguments, the model of its body or null, the body].
"""

import importlib
import json
import sys
from typing import Any

PACKAGE = "made"


def main(folder: str, url: str, key: str) -> None:
    """Make every call, in order."""
    sys.path.insert(0, folder)
    made = importlib.import_module(PACKAGE)
    models = importlib.import_module(f"{PACKAGE}.models")
    client = made.AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)
    answers = []
    for operation, arguments, model, body in json.load(sys.stdin):
        more: dict[str, Any] = {}
        if model:
            more["body"] = getattr(models, model).from_dict(body)
            if more["body"].to_dict() != body:
                raise AssertionError(f"{operation}: {model} has no words for some of {body}")
        module = importlib.import_module(f"{PACKAGE}.api.default.{operation}")
        answer = module.sync_detailed(client=client, **arguments, **more)
        answers.append([operation, int(answer.status_code), type(answer.parsed).__name__])
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
