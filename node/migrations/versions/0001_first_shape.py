"""The first shape of a node's database: every slice's tables; the journal is append-only.

Step 0001, after nothing.
"""

import sqlalchemy as sa
from alembic import op

from node.kernel.db import Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = ("journal_entry", "posting")


def upgrade() -> None:
    """Make the tables, then let the database itself refuse to change the journal."""
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("floor <= 0", name="account_floor_not_positive"),
        sa.CheckConstraint("held >= 0", name="account_held_not_negative"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_account_owner"), "account", ["owner"], unique=False)
    op.create_table(
        "batch",
        sa.Column("round_id", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("delta_minutes", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", Moment(), nullable=False),
        sa.Column("transaction_hash", sa.String(), nullable=True),
        sa.Column("block_number", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("round_id"),
    )
    op.create_table(
        "batch_statement",
        sa.Column("round_id", sa.LargeBinary(), nullable=False),
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("round_id", "statement_id"),
    )
    op.create_table(
        "catalogue_item",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("stock", sa.Integer(), nullable=False),
        sa.CheckConstraint("points > 0", name="catalogue_points_positive"),
        sa.CheckConstraint("stock >= 0", name="catalogue_stock_not_negative"),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "chain_checkpoint",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("block_number", sa.Integer(), nullable=False),
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "comparison",
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("missing_here", sa.Integer(), nullable=False),
        sa.Column("missing_there", sa.Integer(), nullable=False),
        sa.Column("differing", sa.Integer(), nullable=False),
        sa.Column("repaired", sa.Integer(), nullable=False),
        sa.Column("asked_at", Moment(), nullable=False),
        sa.Column("answered_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("peer", "day"),
    )
    op.create_index("comparison_open", "comparison", ["state", "asked_at"], unique=False)
    op.create_table(
        "daily_count",
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.CheckConstraint("count >= 0", name="daily_count_not_negative"),
        sa.PrimaryKeyConstraint("date", "category"),
    )
    op.create_table(
        "departure",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "recipient"),
    )
    op.create_table(
        "dispute",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("exchange_id", sa.Uuid(), nullable=False),
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("is_ours", sa.Boolean(), nullable=False),
        sa.Column("gives_back", sa.Boolean(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("our_code", sa.String(), nullable=True),
        sa.Column("our_minutes", sa.Integer(), nullable=True),
        sa.Column("their_code", sa.String(), nullable=True),
        sa.Column("their_minutes", sa.Integer(), nullable=True),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("our_verdict", sa.Integer(), nullable=True),
        sa.Column("our_arbiter", sa.Uuid(), nullable=True),
        sa.Column("their_verdict", sa.Integer(), nullable=True),
        sa.Column("verdict_minutes", sa.Integer(), nullable=True),
        sa.Column("refusal", sa.String(), nullable=True),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_dispute_exchange_id"), "dispute", ["exchange_id"], unique=False)
    op.create_index(op.f("ix_dispute_state"), "dispute", ["state"], unique=False)
    op.create_table(
        "dispute_verdict",
        sa.Column("dispute_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("arbiter", sa.Uuid(), nullable=True),
        sa.Column("given_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("dispute_id", "number"),
    )
    op.create_table(
        "evaluation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("evaluated_at", Moment(), nullable=False),
        sa.Column("adopted", sa.String(), nullable=False),
        sa.Column("model_sha256", sa.String(), nullable=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_evaluation_evaluated_at"), "evaluation", ["evaluated_at"], unique=False
    )
    op.create_table(
        "evidence",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("evidence_by_peer", "evidence", ["peer", "kind", "at"], unique=False)
    op.create_table(
        "exchange",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("receiver_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("delivered_minutes", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("provider_confirmed", sa.Boolean(), nullable=False),
        sa.Column("receiver_confirmed", sa.Boolean(), nullable=False),
        sa.Column("requested_at", Moment(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.CheckConstraint("delivered_minutes <= minutes", name="exchange_not_above_agreed"),
        sa.CheckConstraint("minutes > 0", name="exchange_minutes_positive"),
        sa.CheckConstraint("provider_id <> receiver_id", name="exchange_two_people"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "exchange_by_provider", "exchange", ["provider_id", "requested_at"], unique=False
    )
    op.create_index(
        "exchange_by_receiver", "exchange", ["receiver_id", "requested_at"], unique=False
    )
    op.create_table(
        "gift",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("consent", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("refusal", sa.String(), nullable=True),
        sa.Column("made_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.CheckConstraint("minutes > 0", name="gift_minutes_positive"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("gift_open", "gift", ["state"], unique=False)
    op.create_index(op.f("ix_gift_resident_id"), "gift", ["resident_id"], unique=False)
    op.create_table(
        "gift_code",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("made_at", Moment(), nullable=False),
        sa.Column("withdrawn_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_index(op.f("ix_gift_code_resident_id"), "gift_code", ["resident_id"], unique=False)
    op.create_table(
        "inbox_message",
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column("answer_payload", sa.LargeBinary(), nullable=False),
        sa.Column("answer_signature", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "id"),
    )
    op.create_table(
        "journal_entry",
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("refers_to", sa.Uuid(), nullable=True),
        sa.Column("reverses", sa.Uuid(), nullable=True),
        sa.Column("previous_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("reverses"),
    )
    op.create_index(
        op.f("ix_journal_entry_refers_to"), "journal_entry", ["refers_to"], unique=False
    )
    op.create_table(
        "journal_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "motion",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("electorate", sa.String(), nullable=False),
        sa.Column("decision_rule", sa.String(), nullable=False),
        sa.Column("rule_change", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("proposed_at", Moment(), nullable=False),
        sa.Column("publicity_started_at", Moment(), nullable=True),
        sa.Column("is_carried", sa.Boolean(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_motion_step"), "motion", ["step"], unique=False)
    op.create_table(
        "outbox_message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("next_attempt_at", Moment(), nullable=False),
        sa.Column("answered_at", Moment(), nullable=True),
        sa.Column("answer_payload", sa.LargeBinary(), nullable=True),
        sa.Column("answer_signature", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "outbox_due", "outbox_message", ["state", "recipient", "next_attempt_at"], unique=False
    )
    op.create_table(
        "pass",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("issued_by", sa.Uuid(), nullable=True),
        sa.Column("consent", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("minutes_up_to", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("exchange_id", sa.Uuid(), nullable=True),
        sa.Column("minutes", sa.BigInteger(), nullable=True),
        sa.Column("issued_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("slip", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("minutes_up_to > 0", name="pass_minutes_positive"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
        sa.UniqueConstraint("exchange_id"),
    )
    op.create_index(op.f("ix_pass_resident_id"), "pass", ["resident_id"], unique=False)
    op.create_index("pass_open", "pass", ["state", "expires_at"], unique=False)
    op.create_table(
        "peer_limit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_peer_limit_peer"), "peer_limit", ["peer"], unique=False)
    op.create_table(
        "points_award",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("activity", sa.String(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("evidence_kind", sa.String(), nullable=False),
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=True),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("awarded_at", Moment(), nullable=False),
        sa.Column("awarded_by", sa.Uuid(), nullable=True),
        sa.Column("reversed_at", Moment(), nullable=True),
        sa.Column("reversed_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("points > 0", name="points_award_positive"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("resident_id", "activity", "evidence_id"),
    )
    op.create_index(
        op.f("ix_points_award_awarded_at"), "points_award", ["awarded_at"], unique=False
    )
    op.create_index("points_award_by_day", "points_award", ["resident_id", "day"], unique=False)
    op.create_table(
        "points_rule_version",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("in_force_from", Moment(), nullable=False),
        sa.Column("motion_id", sa.Uuid(), nullable=True),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
        sa.UniqueConstraint("motion_id"),
    )
    op.create_table(
        "receipt",
        sa.Column("exchange_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("refers_to", sa.Uuid(), nullable=True),
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("is_debt", sa.Boolean(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("captured_at", Moment(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.Column("statement_id", sa.Uuid(), nullable=True),
        sa.Column("settled_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("exchange_id"),
    )
    op.create_index("receipt_by_time", "receipt", ["peer", "captured_at"], unique=False)
    op.create_index(
        "receipt_unstated", "receipt", ["peer", "is_debt", "statement_id"], unique=False
    )
    op.create_table(
        "redemption",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("item_code", sa.String(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reserved_at", Moment(), nullable=False),
        sa.Column("reserved_by", sa.Uuid(), nullable=True),
        sa.Column("pickup_ends_at", Moment(), nullable=False),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_redemption_resident_id"), "redemption", ["resident_id"], unique=False)
    op.create_index(
        "redemption_by_state", "redemption", ["item_code", "state", "pickup_ends_at"], unique=False
    )
    op.create_table(
        "request_total",
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("status"),
    )
    op.create_table(
        "resident",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("phone", sa.String(), nullable=False),
        sa.Column("building", sa.String(), nullable=True),
        sa.Column("birth_year", sa.Integer(), nullable=True),
        sa.Column("joined_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("phone"),
    )
    op.create_index("resident_by_name", "resident", ["name"], unique=False)
    op.create_table(
        "reversal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("exchange_id", sa.Uuid(), nullable=False),
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("gives_back", sa.Boolean(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("dispute_id", sa.Uuid(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("refusal", sa.String(), nullable=True),
        sa.Column("made_at", Moment(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.CheckConstraint("minutes > 0", name="reversal_minutes_positive"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("reversal_by_exchange", "reversal", ["exchange_id"], unique=False)
    op.create_table(
        "sign_in_tries",
        sa.Column("phone_sha256", sa.String(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.Column("locked_until", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("phone_sha256"),
    )
    op.create_index(op.f("ix_sign_in_tries_last_at"), "sign_in_tries", ["last_at"], unique=False)
    op.create_table(
        "statement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("debtor", sa.String(), nullable=False),
        sa.Column("creditor", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("debtor_signature", sa.LargeBinary(), nullable=False),
        sa.Column("creditor_signature", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposals", sa.Integer(), nullable=False),
        sa.Column("is_proposal_open", sa.Boolean(), nullable=False),
        sa.Column("made_at", Moment(), nullable=False),
        sa.Column("settled_at", Moment(), nullable=True),
        sa.Column("transaction_hash", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "submitted_round",
        sa.Column("round_id", sa.LargeBinary(), nullable=False),
        sa.Column("submitted_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("round_id"),
    )
    op.create_table(
        "told_limit",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("told_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("source"),
    )
    op.create_table(
        "visit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("presented_by", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("pass_id", sa.Uuid(), nullable=True),
        sa.Column("minutes_up_to", sa.BigInteger(), nullable=True),
        sa.Column("minutes", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_by_elder", sa.Boolean(), nullable=False),
        sa.Column("confirmed_by_provider", sa.Boolean(), nullable=False),
        sa.Column("capture_until", Moment(), nullable=True),
        sa.Column("refusal", sa.String(), nullable=True),
        sa.Column("presented_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_visit_provider_id"), "visit", ["provider_id"], unique=False)
    op.create_table(
        "access_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("secret_sha256", sa.String(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("issued_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("revoked_at", Moment(), nullable=True),
        sa.CheckConstraint(
            "(resident_id IS NULL) <> (role IS NULL)", name="access_token_one_holder"
        ),
        sa.ForeignKeyConstraint(
            ["resident_id"],
            ["resident.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret_sha256"),
    )
    op.create_index(
        op.f("ix_access_token_resident_id"), "access_token", ["resident_id"], unique=False
    )
    op.create_table(
        "credential",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("pin_hash", sa.String(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resident_id"],
            ["resident.id"],
        ),
        sa.PrimaryKeyConstraint("resident_id"),
    )
    op.create_table(
        "exchange_step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exchange_id", sa.Uuid(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=True),
        sa.Column("done_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["exchange_id"],
            ["exchange.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_exchange_step_exchange_id"), "exchange_step", ["exchange_id"], unique=False
    )
    op.create_table(
        "hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payer_id", sa.Uuid(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("placed_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.Column("captured_amount", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("amount > 0", name="hold_amount_positive"),
        sa.ForeignKeyConstraint(
            ["payee_id"],
            ["account.id"],
        ),
        sa.ForeignKeyConstraint(
            ["payer_id"],
            ["account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("hold_by_expiry", "hold", ["state", "expires_at"], unique=False)
    op.create_index(op.f("ix_hold_payer_id"), "hold", ["payer_id"], unique=False)
    op.create_table(
        "motion_step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("motion_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["motion_id"],
            ["motion.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_motion_step_motion_id"), "motion_step", ["motion_id"], unique=False)
    op.create_table(
        "posting",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount <> 0", name="posting_amount_not_zero"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.ForeignKeyConstraint(
            ["sequence"],
            ["journal_entry.sequence"],
        ),
        sa.PrimaryKeyConstraint("sequence", "account_id"),
    )
    op.create_index("posting_by_account", "posting", ["account_id", "sequence"], unique=False)
    op.create_table(
        "proxy",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("elder_id", sa.Uuid(), nullable=False),
        sa.Column("helper_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("agreed_at", Moment(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=False),
        sa.Column("withdrawn_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["elder_id"],
            ["resident.id"],
        ),
        sa.ForeignKeyConstraint(
            ["helper_id"],
            ["resident.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_proxy_elder_id"), "proxy", ["elder_id"], unique=False)
    op.create_index("proxy_by_pair", "proxy", ["helper_id", "elder_id"], unique=False)
    op.create_table(
        "role_grant",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("granted_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resident_id"],
            ["resident.id"],
        ),
        sa.PrimaryKeyConstraint("resident_id", "role"),
    )
    op.create_table(
        "service_request",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("reporter_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=True),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("assignee", sa.String(), nullable=True),
        sa.Column("notes", sa.String(), nullable=True),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("comment", sa.String(), nullable=True),
        sa.Column("closings", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("completed_at", Moment(), nullable=True),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name="service_request_rating"),
        sa.ForeignKeyConstraint(
            ["reporter_id"],
            ["resident.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_index(
        "service_request_by_reporter", "service_request", ["reporter_id", "id"], unique=False
    )
    op.create_index("service_request_by_status", "service_request", ["status", "id"], unique=False)
    op.create_table(
        "vote",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("motion_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("decision_rule", sa.String(), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=True),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.Column("on_roll", sa.Integer(), nullable=False),
        sa.Column("roll_sha256", sa.String(), nullable=False),
        sa.Column("yes", sa.Integer(), nullable=True),
        sa.Column("no", sa.Integer(), nullable=True),
        sa.Column("abstain", sa.Integer(), nullable=True),
        sa.Column("has_quorum", sa.Boolean(), nullable=True),
        sa.Column("is_carried", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["motion_id"],
            ["motion.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_vote_motion_id"), "vote", ["motion_id"], unique=False)
    op.create_index(
        "vote_one_open",
        "vote",
        ["motion_id"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "work_item",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("motion_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("added_at", Moment(), nullable=False),
        sa.Column("done_at", Moment(), nullable=True),
        sa.Column("done_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["motion_id"],
            ["motion.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_work_item_motion_id"), "work_item", ["motion_id"], unique=False)
    op.create_table(
        "ballot",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vote_id", sa.Uuid(), nullable=False),
        sa.Column("voter_id", sa.Uuid(), nullable=False),
        sa.Column("choice", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("cast_at", Moment(), nullable=False),
        sa.Column("receipt", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vote_id"],
            ["vote.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("vote_id", "voter_id", name="ballot_one_each"),
    )
    op.create_table(
        "roll_entry",
        sa.Column("vote_id", sa.Uuid(), nullable=False),
        sa.Column("voter_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vote_id"],
            ["vote.id"],
        ),
        sa.PrimaryKeyConstraint("vote_id", "voter_id"),
    )
    op.create_table(
        "status_change",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column("before", sa.String(), nullable=False),
        sa.Column("after", sa.String(), nullable=False),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.Column("notes", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["service_request.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_status_change_request_id"), "status_change", ["request_id"], unique=False
    )
    for table in APPEND_ONLY:
        _refuse_changes(table)


def _refuse_changes(table: str) -> None:
    if op.get_context().dialect.name == "sqlite":
        for verb in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_append_only()"
    )
