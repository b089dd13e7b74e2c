#!/bin/sh
# by-hand.sh KEY NAMESPACE <statement >envelope
# A DSSE envelope as docs/ledger-format.md has it, by ssh-keygen and the usual small tools.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/payload"
type=application/vnd.in-toto+json
{
  printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(wc -c <"$work/payload")"
  cat "$work/payload"
} | ssh-keygen -q -Y sign -n "$2" -f "$1" >"$work/armor"
printf '{"payloadType":"%s","payload":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}\n' "$type" \
  "$(base64 <"$work/payload" | tr -d '\n')" \
  "$(ssh-keygen -l -f "$1.pub" | cut -d ' ' -f 2)" \
  "$(grep -v '^-----' "$work/armor" | tr -d '\n')"
