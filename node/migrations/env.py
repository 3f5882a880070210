"""What Alembic runs: the steps inside the transaction that the caller opened."""

from alembic import context

from node.kernel.db import Base
from node.tables import ALL

assert ALL, "every slice's tables are known before they are compared"

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=Base.metadata, transaction_per_migration=False
)
with context.begin_transaction():
    context.run_migrations()
