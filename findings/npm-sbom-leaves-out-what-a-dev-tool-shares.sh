#!/usr/bin/env bash
# npm 11.19.1, `npm sbom --omit dev`.
#
# Expected: the list names what `npm ls --omit dev --all` names: all that is installed for production.
# Seen: a package that production needs and a development dependency needs, too, is left out, and so is what it needs.
# So a list of what a page is made of may lack its very framework.
# It fails where debug is on the list. Needs Node 20.17 or newer with npm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix tool npm@11.19.1
npm=$folder/tool/node_modules/.bin/npm
mkdir product && cd product
echo '{"name": "product", "version": "1.0.0", "dependencies": {"debug": "4.4.3"}, "devDependencies": {"send": "1.2.0"}}' > package.json
"$npm" install --silent --package-lock-only --ignore-scripts
names() { node -e 'console.log(JSON.parse(require("fs").readFileSync(0)).components.map((one) => one.name).sort().join(" "))'; }
installed=$("$npm" ls --omit dev --all --package-lock-only --parseable | sed -n 's|.*node_modules/||p' | sort | tr '\n' ' ')
listed=$("$npm" sbom --sbom-format cyclonedx --package-lock-only --omit dev | names)
echo "npm $("$npm" --version): production needs '${installed% }', the list has '$listed'"
[ "${installed% }" = "debug ms" ] && ! grep -qw debug <<< "$listed"
