"""A clinic's figures by another way: pandas on the lines, the rules written out; nothing of rfmkit but the scheme."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from rfmkit import load_scheme


def figures(lines: pd.DataFrame, as_of: dt.date, *, window_months: int, rfm: dict | None = None) -> dict:
    """The same figures by another way: pandas on the lines, the rules of scores written out.

    `rfm` is that part of a clinic file; its scheme and, where it has thresholds, these.
    """
    terms = rfm or {}
    end = pd.Timestamp(as_of)
    lines = lines[lines["visit_date"] <= end].copy()
    lines["day"] = lines["visit_date"]
    if "receipt_id" in lines:
        sold = lines[lines["amount"] >= 0][["patient_id", "receipt_id", "visit_date"]].drop_duplicates()
        back = (
            lines[lines["amount"] < 0].reset_index().merge(sold, on=["patient_id", "receipt_id"], suffixes=("", "_s"))
        )
        back = back[back["visit_date_s"] <= back["visit_date"]].groupby("index")["visit_date_s"].max()
        lines.loc[back.index, "day"] = back
    days = lines.assign(sales=lines["amount"] >= 0).groupby(["patient_id", "day"], as_index=False)
    days = days.agg(amount=("amount", "sum"), sales=("sales", "sum"))
    visits = days[days["sales"] > 0]
    start = end + pd.DateOffset(days=1, months=-window_months) if window_months else visits["day"].min()
    inside, money = visits[visits["day"] >= start], days[days["day"] >= start]
    rfm = inside.groupby("patient_id").agg(last=("day", "max"), count=("day", "size"))
    rfm["spend"] = money.groupby("patient_id")["amount"].sum().round(2)
    away, count, spend = (end - rfm["last"]).dt.days.to_numpy(), rfm["count"].to_numpy(), rfm["spend"].to_numpy()
    if limits := terms.get("thresholds"):
        # Within so many days, more than so many visits, more than so much money.
        r = 1 + sum((away <= limit).astype(int) for limit in limits["recency_days"])
        f = 1 + sum((count > limit).astype(int) for limit in limits["visit_count"])
        m = 1 + sum((spend > limit).astype(int) for limit in limits["total_spend"])
    else:
        r, m = five(-away), five(spend)
        f = np.ones(len(rfm), dtype=int)
        f[count >= 2] = 1 + quantile(count[count >= 2], 4)
    segment_of = load_scheme(terms.get("scheme", "eleven")).segment_of
    segments = pd.Series([segment_of[f"{a}{b}{c}"] for a, b, c in zip(r, f, m, strict=True)]).value_counts().to_dict()
    inactive = visits["patient_id"].nunique() - len(rfm)
    year = end + pd.DateOffset(days=1, years=-1)
    counts = visits[visits["day"] >= year].groupby("patient_id").size()
    before = set(visits[(visits["day"] < year) & (visits["day"] >= year - pd.DateOffset(years=1))]["patient_id"])
    return {
        "patients": visits["patient_id"].nunique(),
        "visits": len(visits),
        "revenue": lines["amount"].sum(),
        "segments": segments | ({"inactive": inactive} if inactive else {}),
        "rpr": (counts >= 2).mean(),
        "crr": len(before & set(counts.index)) / len(before) if before else None,
    }


def five(values: np.ndarray) -> np.ndarray:
    return quantile(values, 5)


def quantile(values: np.ndarray, bins: int) -> np.ndarray:
    """1 + the number of s for which somebody at or below the value has bins × (worse) ≥ (s − 1) × n."""
    ordered = np.sort(values.astype(float))
    reached = bins * np.searchsorted(ordered, ordered, side="left")
    cuts = [ordered[reached >= (s - 1) * len(values)].min(initial=np.inf) for s in range(2, bins + 1)]
    return 1 + sum((values >= cut).astype(int) for cut in cuts)
