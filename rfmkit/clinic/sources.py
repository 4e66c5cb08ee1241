"""Which exports a clinic file names, and how they are written."""

from __future__ import annotations

import codecs
import datetime as dt
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from rfmkit.clinic.part import Part


def _encoding(value: str) -> str:
    try:
        "".encode(value)  # refuses codecs that are no encodings of text
        return codecs.lookup(value).name
    except (LookupError, UnicodeError):
        raise ValueError("is no encoding; common ones are utf-8, utf-16, cp1251, gbk, gb18030") from None


def _delimiter(value: str) -> str:
    if len(value) != 1 or not value.isascii() or value.isalnum() or (value != "\t" and not value.isprintable()):
        raise ValueError("must be one sign, for example ; or , or | or \\t")
    if value in "\"'.-+":
        raise ValueError("must not be a sign of text or of numbers")
    return value


def _date_format(value: str) -> str:
    day = dt.date(2024, 12, 31)
    try:
        same = dt.datetime.strptime(day.strftime(value), value).date() == day  # noqa: DTZ007 - a day has no zone
    except ValueError:
        same = False
    if not same:
        raise ValueError("must hold day, month and year in strptime's letters, for example %d.%m.%Y")
    return value


class TransactionColumns(Part):
    """rfmkit's name = the export's heading; the first three are needed."""

    patient_id: str
    visit_date: str
    amount: str
    service: str | None = None
    category: str | None = None
    branch: str | None = None
    doctor: str | None = None
    receipt_id: str | None = None
    payer: str | None = None
    visit_time: str | None = None
    quantity: str | None = None
    days_supply: str | None = None
    discount: str | None = None
    bonus_accrued: str | None = None
    bonus_redeemed: str | None = None


class PatientColumns(Part):
    """rfmkit's name = the heading in the file of patients; the first is needed."""

    patient_id: str
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    sex: str | None = None
    birth_date: str | None = None
    member_since: str | None = None
    referred_by: str | None = None
    opted_out: str | None = None
    consent_sms: str | None = None
    consent_email: str | None = None
    consent_phone: str | None = None
    consent_ads: str | None = None
    consent_source: str | None = None


class _File(Part):
    source: str | None = None
    connection_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    table: Annotated[str, Field(min_length=1)] | None = None
    engine: Literal["duckdb", "spark"] = "duckdb"
    sheet: str | None = None
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None
    delimiter: Annotated[str, AfterValidator(_delimiter)] = ","
    decimal: Literal[".", ","] | None = None
    date_format: Annotated[str, AfterValidator(_date_format)] | None = None
    header: bool = True

    @model_validator(mode="after")
    def _one_place(self):
        if self.connection_env and self.source:
            raise ValueError("source and connection_env name two places: keep one of them")
        if self.connection_env and not self.table:
            raise ValueError("connection_env needs table")
        if not (self.source or self.connection_env or (self.table and self.engine == "spark")):
            raise ValueError('needs source, or connection_env and table, or engine = "spark" and table')
        return self


class Transactions(_File):
    """Where the lines are and how they are written."""

    amount_includes_bonus: bool = False
    complete_history: bool | None = None
    test_patients: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    accept: dict[Literal["same_file", "other_ids", "fewer_visits"], Annotated[str, Field(min_length=3)]] = Field(
        default_factory=dict
    )
    columns: TransactionColumns

    @model_validator(mode="after")
    def _bonus_column(self):
        if self.amount_includes_bonus and not self.columns.bonus_redeemed:
            raise ValueError("amount_includes_bonus = true needs columns.bonus_redeemed")
        return self


class Patients(_File):
    """Who they are and whether they may be contacted."""

    merge: Annotated[str, Field(min_length=1)] | None = None
    columns: PatientColumns
