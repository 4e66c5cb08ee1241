"""Who the patients are: for now only that their file can be read and names every patient."""

from __future__ import annotations

from rfmkit.data.checks import MOST_REJECTED
from rfmkit.data.sources import FILE, ROW, Export
from rfmkit.errors import ExportError, Problem


def check_people(export: Export, spec) -> list[Problem]:
    """Check the file of patients.

    Parameters
    ----------
    export : Export
    spec : rfmkit.clinic.Patients

    Returns
    -------
    list of Problem
        What does not stop the run: lines with another number of fields.

    Raises
    ------
    ExportError
        If a line has no patient id, or more than 1 % of the lines are broken.
    """
    cells = export.cells
    nameless = cells.filter(cells.patient_id.cast(str).strip().fill_null("") == "")
    count = int(nameless.count().execute())
    if count:
        first = nameless.order_by([FILE, ROW]).limit(1).select(FILE, ROW).execute().iloc[0]
        where = f"{first[FILE]}:{first[ROW]} «{spec.columns.patient_id}»"
        raise ExportError(Problem(where, "empty", "Every line needs the patient's id: correct the export.", count))
    if not len(export.broken):
        return []
    first = export.broken.iloc[0]
    fix = "Quote cells that hold the delimiter."
    problem = Problem(f"{first.file}:{first.row}", first.reason, fix, len(export.broken))
    if len(export.broken) > MOST_REJECTED * (len(export.broken) + int(cells.count().execute())):
        raise ExportError(problem)
    return [problem]
