"""Counts per day and category, the noised cells that may leave, models, judgements, forecasts."""

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
    over_limit: Mapped[int] = mapped_column(default=0, server_default="0")
    """Of `count`, those beyond a resident's weekly limit: they count at home and nowhere else."""


class WeeklyRequests(Base):
    """How many requests of a resident entered the series this week; forgotten soon after."""

    __tablename__ = "weekly_requests"
    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    week: Mapped[date] = mapped_column(Date, primary_key=True)  # its Monday
    entered: Mapped[int]


NOISE_TERMS_ID = 1  # of the one row there may be


class NoiseTerms(Base):
    """How counts are noised, fixed before the first cell is drawn. Append-only, one row."""

    __tablename__ = "noise_terms"
    id: Mapped[int] = mapped_column(primary_key=True)
    epsilon: Mapped[str]  # a fraction such as 1 or 1/2, exactly as the sampler takes it
    weekly_limit: Mapped[int]  # requests of one resident and week that enter the series
    categories: Mapped[str] = mapped_column(Text)  # JSON; public, whatever was reported
    fixed_at: Mapped[datetime]


class CountedSpan(Base):
    """Days that this community said in public it counts. Append-only."""

    __tablename__ = "counted_span"
    first_day: Mapped[date] = mapped_column(Date, primary_key=True)
    last_day: Mapped[date | None] = mapped_column(Date)  # None: until further notice
    declared_at: Mapped[datetime]


class NoisedCell(Base):
    """A count with its noise, drawn once: all that training may see. Append-only, never redrawn."""

    __tablename__ = "noised_cell"
    date: Mapped[date] = mapped_column(Date, primary_key=True)
    category: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]  # may be below zero


class FederatedModel(Base):
    """A model that the district sent, and its card. The file lies under its hash."""

    __tablename__ = "federated_model"
    sha256: Mapped[str] = mapped_column(primary_key=True)
    received_at: Mapped[datetime] = mapped_column(index=True)
    card: Mapped[str] = mapped_column(Text)  # JSON as it came


class ModelChoice(Base):
    """The operator's word on which model is used here; the latest counts. Append-only."""

    __tablename__ = "model_choice"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    sha256: Mapped[str | None]  # None: always the newest
    chosen_at: Mapped[datetime] = mapped_column(index=True)


class Evaluation(Base):
    """What `federation.evaluate` found on the last weeks, and which forecast is used since."""

    __tablename__ = "evaluation"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    evaluated_at: Mapped[datetime] = mapped_column(index=True)
    adopted: Mapped[str]  # an arm: mean8, local or federated
    model_sha256: Mapped[str | None]  # of the federated model that was judged
    result: Mapped[str] = mapped_column(Text)  # the JSON as it came


class ForecastDay(Base):
    """What was expected of a day when it was still to come: kept, to be held against what came."""

    __tablename__ = "forecast_day"
    issued_on: Mapped[date] = mapped_column(Date, primary_key=True)  # the last day known then
    date: Mapped[date] = mapped_column(Date, primary_key=True, index=True)
    category: Mapped[str] = mapped_column(primary_key=True)
    mean: Mapped[float]
    low: Mapped[float]  # 10 % quantile
    high: Mapped[float]  # 90 % quantile
