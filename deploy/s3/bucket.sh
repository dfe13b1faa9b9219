#!/bin/sh
# Creates the bucket if it is missing. Safe to repeat.
# Connection: AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY.
set -eu

aws s3api head-bucket --bucket "$LEANLOOP_BUCKET" 2>/dev/null ||
  aws s3api create-bucket --bucket "$LEANLOOP_BUCKET" >/dev/null
