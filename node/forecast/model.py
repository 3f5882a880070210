"""Counts per day and category, and each judgement of the three forecasts."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, Text
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel.db import Base


class DailyCount(Base):
    """How many requests of a category came on a day: a number, and nobody's name."""

    __tablename__ = "daily_count"
    __table_args__ = (CheckConstraint("count >= 0", name="daily_count_not_negative"),)
    date: Mapped[date] = mapped_column(Date, primary_key=True)
    category: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]


class Evaluation(Base):
    """What `federation.evaluate` found on the last weeks, and which forecast is used since."""

    __tablename__ = "evaluation"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    evaluated_at: Mapped[datetime] = mapped_column(index=True)
    adopted: Mapped[str]  # an arm: mean8, local or federated
    model_sha256: Mapped[str | None]  # of the federated model that was judged
    result: Mapped[str] = mapped_column(Text)  # the JSON as it came
