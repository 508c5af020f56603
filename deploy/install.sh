#!/bin/sh
# Installs notifier, what it needs to run, and nothing else: deploy/install.sh /opt/notifier/1.0.0
# Everything comes by the hashed lock. PYTHON is the interpreter, 3.11 or newer; python3 unless set. WITH=tracing installs
# OpenTelemetry too (docs/tracing.md), WITH=mcp what `notifier mcp` needs (docs/mcp.md).
set -eu
into=${1:?'a folder is missing, such as /opt/notifier/1.0.0'}
case $into in /*) ;; *) into=$PWD/$into ;; esac
cd "$(dirname "$0")/.."

pip() { "$into/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

# --clear empties the folder: never one that is something else.
if [ -n "$(ls -A "$into" 2>/dev/null)" ] && [ ! -f "$into/pyvenv.cfg" ]; then
  echo "deploy/install.sh: $into is in use: take a folder that is empty or isn't there" >&2
  exit 1
fi
"${PYTHON:-python3}" -m venv --clear "$into"
pip install --no-compile --no-deps --require-hashes --requirement "requirements${WITH:+-$WITH}.lock"
pip install --no-compile --no-deps --no-build-isolation .

# What built it isn't needed to run, nor is what wheels were compiled from (13 MB of asyncmy's), nor are tests, nor the
# clients of Twilio's products (a tenth of the whole): of its package we import what checks signatures.
pip uninstall --yes hatchling editables pathspec pluggy tomlkit trove-classifiers
pip uninstall --yes setuptools pip
find "$into/lib" -type f \( -name '*.c' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' \) -delete
find "$into/lib" -type d \( -name tests -o -path '*/sqlalchemy/testing' -o -path '*/twilio/rest' \) -prune -exec rm -r {} +

# Processes may not write here: what they import is compiled now.
"$into/bin/python" -m compileall -q "$into/lib"
