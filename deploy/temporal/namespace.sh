#!/bin/sh
# Creates leanloop's namespace and its search attributes where they are missing.
# Safe to repeat. Connection: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE; RETENTION is
# how long closed workflows stay visible (the ledger keeps decisions for ever).
set -eu

temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"

# A new namespace takes a moment to be known to every part of the server.
tries=0
until known=$(temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE"); do
  tries=$((tries + 1))
  [ "$tries" -lt 30 ] || { echo "namespace $TEMPORAL_NAMESPACE isn't there after $tries tries" >&2; exit 1; }
  sleep 1
done

for name in Model Stage Outcome Team SnapshotDigest; do
  echo "$known" | grep -qw "$name" ||
    temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --name "$name" --type Keyword
done
