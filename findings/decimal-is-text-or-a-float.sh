#!/usr/bin/env bash
# FastAPI 0.165.0, pydantic 2.14.3
#
# Done: an endpoint answers with the same Decimal, once as a field of a pydantic model and once in a dict.
# Expected: one framework writes a Decimal in one way, and exactly.
# Seen: from the model it is a text with all its digits, from the dict a number that went through a float: 17 digits
#   before the point lose their end, and 1.10 is 1.1. A refactoring from dict to model changes the type in the JSON.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages fastapi==0.165.0 pydantic==2.14.3 httpx==0.28.1

python - 2>/dev/null <<'PYTHON'
import json
from decimal import Decimal

from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

AMOUNTS = (Decimal("1.10"), Decimal("12345678901234567.10"))


class Offer(BaseModel):
    amount: Decimal


application = FastAPI()


@application.get("/model/{index}")
def as_model(index: int) -> Offer:
    return Offer(amount=AMOUNTS[index])


@application.get("/dict/{index}")
def as_dict(index: int):
    return {"amount": AMOUNTS[index]}


client = TestClient(application)
texts = {way: [client.get(f"/{way}/{index}").text for index in (0, 1)] for way in ("model", "dict")}
written = {way: [json.loads(text, parse_float=Decimal)["amount"] for text in of_way] for way, of_way in texts.items()}

assert written["model"] == ["1.10", "12345678901234567.10"], written
assert str(written["dict"][0]) == "1.1" and written["dict"][1] == Decimal("12345678901234568"), written
print(f"expected: {texts['model'][1]}, whichever way it is answered")
print(f"seen: {texts['model'][1]} from a model, {texts['dict'][1]} from a dict")
PYTHON
