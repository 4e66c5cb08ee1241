"""A study: one clinic at the end of one month, every table of it computed once."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rfmkit.cache import Cache
from rfmkit.clinic import Clinic
from rfmkit.data.inputs import InputFile, input_files
from rfmkit.errors import ExportError, NotEnoughData, Problem
from rfmkit.period import Period, month_period

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from rfmkit.analysis.clv import ClvModel, Holdout
    from rfmkit.analysis.loyalty import Loyalty, Retention
    from rfmkit.analysis.scores import RfmCuts
    from rfmkit.analysis.segments import Scheme

#: The parts of a study that data can be too few for, and the table that tells.
_PARTS = {
    "segments": "segments",
    "recommendations": "recommendations",
    "clv": "patient_values",
    "holdout": "holdout",
    "loyalty": "loyalty",
    "crr": "retention",
}
_VALUES = ["probability_alive", "expected_visits", "expected_visit_value", "clv", "value_at_risk"]
_SCORES = ["recency_score", "frequency_score", "monetary_score"]


@dataclass(frozen=True)
class Part:
    """Whether a part of a study stands: `status` is ``ok`` or ``not_enough_data``, with the reason."""

    status: str
    reason: NotEnoughData | None = None

    @property
    def ok(self) -> bool:
        """Whether the part stands."""
        return self.status == "ok"


def _kept(compute):
    """Make a method a table: computed once, and kept for the other processes that open the same study."""

    def table(self):
        return self.cache.value(compute.__name__, lambda: compute(self))

    table.__doc__ = compute.__doc__
    return cached_property(table)


class Study:
    """One clinic at the end of one month; open it with `rfmkit.open_study`.

    Every attribute is computed when it is first asked for. Where the data are too few, asking raises `NotEnoughData`;
    `part` tells beforehand.

    Parameters
    ----------
    clinic : Clinic
    month : str
        ``YYYY-MM``; its last day is `as_of`.
    reader : rfmkit.present.Reader, optional
        For whom tables and plots are worded; handed on, not used here.
    today : datetime.date, optional
        Lines dated later are rejected.
    """

    def __init__(self, clinic: Clinic, month: str, *, reader: Any = None, today: dt.date | None = None):
        self.clinic = clinic
        self.month = month
        self.reader = reader
        self.today = today
        self.month_period = month_period(month)
        self.as_of = self.month_period.end
        self.period = Period.trailing(self.as_of, clinic.loyalty.period_months)

    def part(self, name: str) -> Part:
        """Whether a part stands: one of ``segments, recommendations, clv, holdout, loyalty, crr``."""
        try:
            getattr(self, _PARTS[name])
        except NotEnoughData as reason:
            return Part("not_enough_data", reason)
        return Part("ok")

    @property
    def parts(self) -> dict[str, Part]:
        """Every part and whether it stands."""
        return {name: self.part(name) for name in _PARTS}

    def compute(self) -> None:
        """Compute every table now, so that whoever opens the same study finds them."""
        for name, attribute in vars(type(self)).items():
            if isinstance(attribute, cached_property):
                try:
                    getattr(self, name)
                except NotEnoughData:
                    continue

    # Rows

    @cached_property
    def inputs(self) -> list[InputFile]:
        """The files that were read, transactions first."""
        clinic, where = self.clinic, self.clinic.path.name
        files = input_files(clinic.transactions.source, clinic.folder, f"{where} [transactions] source")
        if clinic.patients:
            files = files + input_files(clinic.patients.source, clinic.folder, f"{where} [patients] source")
        return files

    @cached_property
    def input_digest(self) -> str:
        """What identifies the content of all inputs."""
        return hashlib.sha256("".join(file.sha256 for file in self.inputs).encode()).hexdigest()

    @cached_property
    def cache(self) -> Cache:
        """Where the tables of this study are kept."""
        clinic_digest = hashlib.sha256(self.clinic.path.read_bytes()).hexdigest()
        scheme = self.clinic.scheme
        own_scheme = hashlib.sha256(scheme.read_bytes()).hexdigest() if isinstance(scheme, Path) else scheme
        depends_on = f"{self.input_digest} {clinic_digest} {own_scheme} {self.month} {self.today}"
        return Cache(self.clinic.key, self.month, depends_on)

    @_kept
    def checked(self) -> dict:
        """What became of the lines of the export: ``rows``, ``rejects``, ``problems``; the kept lines are written."""
        from rfmkit.data.checks import check_lines
        from rfmkit.data.people import check_people
        from rfmkit.data.sources import read_export

        clinic = self.clinic
        scratch = self.cache.scratch()
        try:
            count = len(self.inputs)
            problems: list[Problem] = []
            if clinic.patients:
                count = len(input_files(clinic.transactions.source, clinic.folder, ""))
                people = read_export(self.inputs[count:], clinic.patients, scratch)
                problems = check_people(people, clinic.patients)
            export = read_export(self.inputs[:count], clinic.transactions, scratch)
            lines = check_lines(export, clinic.transactions, self.as_of, self.today)
            if not lines.rows["kept"]:
                where = f"{self.inputs[0].path.name}"
                fix = "Choose a later month, or export earlier lines."
                raise ExportError(Problem(where, f"has no line up to {self.as_of}", fix))
            self.cache.file("transactions.parquet", lines.kept.to_parquet)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return {"rows": lines.rows, "rejects": lines.rejects, "problems": lines.problems + problems}

    @property
    def rows(self) -> dict:
        """Lines and their money by what became of them: read = kept + rejected + duplicates + after_as_of."""
        return self.checked["rows"]

    @property
    def rejects(self) -> pd.DataFrame:
        """Cells that could not be read: ``file, row, column, reason, line``."""
        return self.checked["rejects"]

    @property
    def problems(self) -> list[Problem]:
        """What was wrong with the export but did not stop the study."""
        return self.checked["problems"]

    @property
    def transactions(self) -> ir.Table:
        """The kept lines."""
        from rfmkit.rows import as_table

        _ = self.checked  # writes them
        return as_table(self.cache.folder / "transactions.parquet")

    @property
    def visits(self) -> ir.Table:
        """Patient-days with at least one line that is no refund."""
        from rfmkit.data.visits import visits_from

        return self._rows("visits", lambda: visits_from(self.transactions))

    @property
    def refunds(self) -> ir.Table:
        """Refunds of patient-days without a visit."""
        from rfmkit.data.visits import refunds_from

        return self._rows("refunds", lambda: refunds_from(self.transactions))

    def _rows(self, name: str, compute) -> ir.Table:
        from rfmkit.rows import as_table

        return as_table(self.cache.file(f"{name}.parquet", lambda to: compute().to_parquet(to)))

    # People

    @_kept
    def summary(self) -> pd.DataFrame:
        """Every patient's history for the models: `btyd_summary` at `as_of`."""
        from rfmkit.data.patients import btyd_summary

        return btyd_summary(self.visits, self.as_of)

    @cached_property
    def scheme(self) -> Scheme:
        """The segment scheme of the clinic file."""
        from rfmkit.analysis.segments import load_scheme

        return load_scheme(self.clinic.scheme, bins=self.clinic.rfm.bins)

    @_kept
    def rfm(self) -> pd.DataFrame:
        """Recency, frequency and money of the patients who came inside the RFM window."""
        from rfmkit.data.patients import rfm_table

        return rfm_table(self.visits, self.as_of, self.clinic.rfm.window_months, refunds=self.refunds)

    @property
    def cuts(self) -> RfmCuts:
        """The values at which scores begin."""
        from rfmkit.analysis.scores import rfm_cuts

        have, need = len(self.rfm), self.clinic.rfm.min_patients
        if have < need:
            raise NotEnoughData("few_patients", have=have, need=need)
        return rfm_cuts(self.rfm, self.clinic.rfm.bins)

    @property
    def scored(self) -> pd.DataFrame:
        """The patients of the RFM window with their scores."""
        from rfmkit.analysis.scores import score_rfm

        return score_rfm(self.rfm, cuts=self.cuts)

    @property
    def score_bands(self) -> pd.DataFrame:
        """What each score means in its measure's unit: ``measure, score, low, high, patients``."""
        from rfmkit.analysis.scores import score_bands

        return score_bands(self.scored)

    @property
    def score_grid(self) -> pd.DataFrame:
        """Patients and spend by recency and frequency score."""
        from rfmkit.analysis.scores import score_grid

        return score_grid(self.scored, self.clinic.rfm.bins)

    @_kept
    def patients(self) -> pd.DataFrame:
        """One row a patient: history, RFM, segment and value; missing where a part does not stand."""
        from rfmkit.analysis.segments import assign_segments

        summary = self.summary
        index = summary["patient_id"]
        as_of = pd.Timestamp(self.as_of)
        first_visit = as_of - pd.to_timedelta(summary["T"], unit="D")
        frame = pd.DataFrame(
            {
                "patient_id": index,
                "first_visit": first_visit,
                "last_visit": first_visit + pd.to_timedelta(summary["recency"], unit="D"),
                "visits": summary["frequency"] + 1,
                "revenue": self.revenue_by_patient.reindex(index).fillna(0.0).to_numpy(),
                "recency_days": summary["T"] - summary["recency"],
            }
        )
        rfm = self.rfm.set_index("patient_id").reindex(index)
        frame["visit_count"] = rfm["visit_count"].fillna(0).astype("int64").to_numpy()
        frame["total_spend"] = rfm["total_spend"].fillna(0.0).to_numpy()
        try:
            scored = self.scored.set_index("patient_id").reindex(index)
            for score in _SCORES:
                frame[score] = scored[score].astype("Int64").array
            frame["rfm_score"] = scored["rfm_score"].array
            frame = assign_segments(frame, self.scheme)
        except NotEnoughData:
            frame[_SCORES] = pd.array([pd.NA] * len(frame), dtype="Int64")[:, None]
            frame[["rfm_score", "segment"]] = None
        values = self._or_missing("patient_values", index=summary.index, columns=_VALUES)
        return pd.concat([frame, summary.drop(columns="patient_id"), values], axis=1)

    @cached_property
    def revenue_by_patient(self) -> pd.Series:
        """Net sum of all kept lines of each patient."""
        lines = self.transactions
        sums = lines.group_by("patient_id").aggregate(revenue=lines.amount.sum().cast("float64")).execute()
        return sums.set_index("patient_id")["revenue"]

    @property
    def totals(self) -> dict:
        """Whole history up to `as_of`: ``patients``, ``visits``, ``revenue``."""
        return {
            "patients": len(self.patients),
            "visits": int(self.patients["visits"].sum()),
            "revenue": float(self.rows["money_kept"]),
        }

    @property
    def segments(self) -> pd.DataFrame:
        """One row a segment, in the scheme's order, `inactive` last."""
        from rfmkit.analysis.segments import segment_table

        _ = self.cuts  # raises where there are too few patients to group
        return segment_table(self.patients, self.scheme)

    @property
    def recommendations(self) -> pd.DataFrame:
        """The groups that have patients, ordered by what is at stake."""
        from rfmkit.analysis.recommendations import rank_recommendations

        return rank_recommendations(self.segments)

    # Lifetime value

    @_kept
    def known(self) -> pd.Series:
        """Whether each patient's first visit is known, or lies before the export."""
        from rfmkit.analysis.clv import known_from_start

        return known_from_start(self.summary, self.as_of, self.clinic.transactions.complete_history)

    @_kept
    def clv(self) -> ClvModel:
        """The fitted model of lifetime value."""
        from rfmkit.analysis.clv import fit_clv

        return fit_clv(self.summary[self.known], self.clinic.clv.model, left_out=int((~self.known).sum()))

    @_kept
    def patient_values(self) -> pd.DataFrame:
        """What the model says of each patient, in the rows of `summary`."""
        from rfmkit.analysis.clv import patient_values

        terms = self.clinic.clv
        return patient_values(self.clv, self.summary, terms.horizon_months, terms.annual_discount_rate, terms.margin)

    @property
    def clv_summary(self) -> dict:
        """The clinic's patients over the horizon: expected visits and value, and the terms they rest on."""
        terms, values = self.clinic.clv, self.patient_values
        return {
            "expected_visits": float(values["expected_visits"].sum()),
            "total": float(values["clv"].sum()),
            "value_at_risk": float(values["value_at_risk"].sum()),
            "horizon_months": terms.horizon_months,
            "annual_discount_rate": terms.annual_discount_rate,
            "margin": terms.margin,
        }

    @_kept
    def historical_value(self) -> dict:
        """What patients brought in the last twelve months, which needs no model."""
        from rfmkit.data.patients import rfm_table

        year = rfm_table(self.visits, self.as_of, 12, refunds=self.refunds)
        revenue, patients = float(year["total_spend"].sum()), len(year)
        return {
            "months": 12,
            "patients": patients,
            "visits": int(year["visit_count"].sum()),
            "revenue": revenue,
            "revenue_per_patient": revenue / patients if patients else 0.0,
        }

    @property
    def clv_gates(self) -> pd.DataFrame:
        """What the model had to pass: ``gate, value, limit, passed``."""
        from rfmkit.analysis.clv import model_gates

        return model_gates(self.clv)

    @property
    def alive_grid(self) -> pd.DataFrame:
        """Mean probability alive by number of visits and months since the last."""
        from rfmkit.analysis.clv import alive_grid

        _ = self.patient_values  # raises where no model stands
        return alive_grid(self.patients)

    @_kept
    def holdout(self) -> Holdout:
        """What the model, fitted on the past, said of the months that followed."""
        from rfmkit.analysis.clv import evaluate_holdout, holdout_start
        from rfmkit.data.patients import calibration_holdout, rfm_table

        first = (pd.Timestamp(self.as_of) - pd.Timedelta(days=int(self.summary["T"].max()))).date()
        end = holdout_start(first, self.as_of, self.clinic.clv.horizon_months)
        known = set(self.summary["patient_id"][self.known])
        summary = calibration_holdout(self.visits, end, self.as_of)
        summary = summary[summary["patient_id"].isin(known)].reset_index(drop=True)
        year = rfm_table(self.visits, end, 12).set_index("patient_id")["visit_count"]
        last_year = summary["patient_id"].map(year).fillna(0)
        return evaluate_holdout(summary, last_year, self.clinic.clv.model, end, self.as_of)

    # Loyalty

    @_kept
    def loyalty(self) -> Loyalty:
        """RPR and AOV of the trailing period, and the month alone."""
        from rfmkit.analysis.loyalty import Loyalty, average_order_value, month_figures, repeat_purchase_rate

        return Loyalty(
            rpr=repeat_purchase_rate(self.visits, self.period),
            aov=average_order_value(self.visits, self.period),
            month=month_figures(self.visits, self.refunds, self.month_period),
        )

    @_kept
    def retention(self) -> Retention:
        """CRR of the trailing period, and its bridge."""
        from rfmkit.analysis.loyalty import customer_retention_rate

        return customer_retention_rate(self.visits, self.period, self.clinic.active_months)

    @_kept
    def loyalty_history(self) -> pd.DataFrame:
        """Revenue, visits, active patients and the trailing rates over the last 24 months."""
        from rfmkit.analysis.loyalty import loyalty_history

        return loyalty_history(
            self.visits,
            self.refunds,
            self.as_of,
            period_months=self.clinic.loyalty.period_months,
            active_months=self.clinic.active_months,
        )

    @property
    def headline(self) -> pd.DataFrame:
        """The five headline numbers, with last month's and last year's."""
        from rfmkit.analysis.loyalty import headline

        return headline(self.loyalty_history)

    @property
    def provenance(self) -> dict:
        """Where the numbers come from."""
        from rfmkit import __version__

        return {
            "version": __version__,
            "clinic": self.clinic.key,
            "name": self.clinic.name,
            "month": self.month,
            "as_of": self.as_of,
            "first_day": self.patients["first_visit"].min().date(),
            "rows": self.rows,
            "patients": len(self.patients),
            "input_digest": self.input_digest,
        }

    def _or_missing(self, table: str, **shape) -> pd.DataFrame:
        try:
            return getattr(self, table)
        except NotEnoughData:
            return pd.DataFrame(float("nan"), **shape)
