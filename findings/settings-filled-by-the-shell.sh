#!/usr/bin/env bash
# pydantic-settings 2.16.3
#
# Done: settings with fields `user`, `home` and `path`, each with a default, are read in an ordinary shell; then with
#   env_prefix.
# Expected: no variable of the program's is set, so the defaults hold.
# Seen: names are compared without regard to case and without a prefix: USER, HOME and PATH of the shell fill them.
#   With env_prefix the defaults hold.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages pydantic-settings==2.16.3

env -i USER=someone HOME=/home/someone PATH="$PATH" python - <<'PYTHON'
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    user: str = "relay"
    home: str = "/srv/relay"
    path: str = "/orders"


class Prefixed(Settings):
    model_config = SettingsConfigDict(env_prefix="relay_")


plain, prefixed = Settings().model_dump(), Prefixed().model_dump()
defaults = {"user": "relay", "home": "/srv/relay", "path": "/orders"}
filled = [name for name in defaults if plain[name] != defaults[name]]
assert filled == ["user", "home", "path"] and prefixed == defaults, (plain, prefixed)
print("expected: three defaults")
print(f"seen: {', '.join(filled)} come from the shell; with env_prefix none does")
PYTHON
