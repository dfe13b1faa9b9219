#!/bin/sh
# Creates Temporal's two databases and brings their schemas to this server's
# version. Every step is safe to repeat: a new server version needs only this.
# Connection: SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD.
set -eu

for database in temporal visibility; do
  name=$database
  [ "$database" = visibility ] && name=temporal_visibility
  temporal-sql-tool --database "$name" create
  temporal-sql-tool --database "$name" setup-schema --version 0.0
  temporal-sql-tool --database "$name" update-schema --schema-name "postgresql/v12/$database"
done
