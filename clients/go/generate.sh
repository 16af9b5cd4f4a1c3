#!/bin/bash
# Compiles protos/ into the Go package `inference` beside this script, or into the directory that is named.
#
#     clients/go/generate.sh [DIRECTORY]
#
# protoc is that of grpcio-tools in .venv (`make dev`); its plugins are the tools of go.mod, whose versions and checksums
# are pinned there. Both decide every byte of the output.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
mkdir -p "${1:-$here/inference}"
out=$(cd "${1:-$here/inference}" && pwd)

plugins=$(mktemp -d)
trap 'rm -rf "$plugins"' EXIT
(cd "$here" && go build -o "$plugins/" tool)

files=(grpc_service.proto model_config.proto)
options=(paths=source_relative)
for file in "${files[@]}"; do
  options+=("M$file=naiad/clients/go/inference")
done
joined=$(IFS=,; echo "${options[*]}")

PATH="$plugins:$PATH" "$python" -m grpc_tools.protoc --proto_path="$root/protos" \
  --go_out="$joined:$out" --go-grpc_out="$joined:$out" "${files[@]}"
