"""Runs migrations on the connection that `notifier.store.core.migrate` hands over."""

from alembic import context

from notifier.store.core import resumable  # noqa: F401 (what it defines is how Alembic changes things)
from notifier.store.core.schema import metadata

given = context.config.attributes
context.configure(
    connection=given["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
    transaction_per_migration=True,  # a finished revision stays even if the next one is killed
    on_version_apply=lambda step, **_: given["tell"](f"{step.up_revision_id} is done: {step.up_revision.doc}"),
    tell=given["tell"],
    elsewhere=given["elsewhere"],
)
with context.begin_transaction():
    context.run_migrations()
