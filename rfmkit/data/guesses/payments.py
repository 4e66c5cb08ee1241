"""What the columns of an export are for: proposed from headings and cells, and what cannot be told from them."""

from __future__ import annotations

import datetime as dt

import ibis.expr.types as ir

from rfmkit.clinic import TransactionColumns
from rfmkit.data import cells
from rfmkit.data.engines import computed
from rfmkit.data.guesses.evidence import Evidence, Guess, Guesses, ranked, times_of
from rfmkit.data.guesses.headings import meanings
from rfmkit.data.guesses.money import choose_amount, doubt_receipts, guess_bonus, guess_decimal
from rfmkit.errors import ExportError, Problem

#: Below this a column's heading and cells do not say enough.
_WEAK = 0.55
#: Columns that say it nearly as well are named beside the one that was chosen.
_NEARLY = 0.72
#: A column that is not needed must say so much.
_ENOUGH = 0.5
#: Two columns have the same values, but for slips, if there are so many pairs of them for each.
_SAME = 1.05
#: A second way of writing days is told from this share on.
_ALSO = 0.001
#: Lines that have no more than one column's worth of blanks and misfits.
_NEARLY_ALL = 0.95
_OPTIONAL = tuple(name for name, field_ in TransactionColumns.model_fields.items() if not field_.is_required())
#: Columns whose values are shown in reports: few of them, and never a patient's.
_SHOWN = ("service", "category", "branch", "doctor")
_FEW = 12
_MONEY = ("discount", "bonus_accrued", "bonus_redeemed")
#: More days after today than this share are a fault of the reading, not of the export.
_FEW_LATE = 0.01
#: How test patients are called; a clinic's own rule may be another.
_TESTS = ("TEST*", "Test*", "test*", "ТЕСТ*", "Тест*", "тест*", "DEMO*", "demo*", "测试*")
_TEST_NUMBERS = ("9999", "99999", "0000", "00000")
_NUMBERS = ("quantity", "days_supply")


def guess_transactions(evidence: Evidence, today: dt.date | None) -> Guesses:
    """Propose what the columns of an export of payments are for.

    Raises
    ------
    ExportError
        If there is no column for the patient, the day or the amount; what there is instead is told.
    """
    found, missing = Guesses(), []
    for name, choose in (("visit_date", _choose_day), ("amount", choose_amount), ("patient_id", _choose_patient)):
        at, guess = choose(evidence, found, today)
        if at is None:
            missing.append(_missing(evidence, name, guess.unsure))
            continue
        found.places[name] = at
        found.columns[name] = guess
        if name == "visit_date":
            date_format = guess_days(evidence, [at], today)
            found.keys["date_format"] = date_format
            day = cells.day(evidence.cell(at), str(date_format.value or "%Y-%m-%d"), None)[0]
            found.lines = computed(evidence.table.filter(day.notnull()))
    if missing:
        raise ExportError(missing)
    _choose_others(evidence, found)
    doubt_receipts(evidence, found)
    money = [found.places[name] for name in ("amount", *_MONEY) if name in found.places]
    found.keys["decimal"] = guess_decimal(evidence, found.lines, money, found.keys["currency"].value)
    _leave_out_unreadable(evidence, found)
    if bonus := guess_bonus(evidence, found):
        found.keys["amount_includes_bonus"] = bonus
    if tests := _test_patients(evidence, found):
        found.keys["test_patients"] = tests
    return found


def _test_patients(evidence: Evidence, found: Guesses) -> Guess | None:
    """Patterns of ids that clinics give to patients who are none, where some id fits."""
    ids = evidence.ids(found.places["patient_id"])
    starts = {pattern: pattern.rstrip("*") for pattern in _TESTS}
    met = [pattern for pattern, start in starts.items() if any(one.startswith(start) for one in ids)]
    # In a row of numbers 9999 is one like the others.
    met += [number for number in _TEST_NUMBERS if number in ids and str(int(number) - 1) not in ids]
    return Guess(met, unsure="are these tests? Then without #: their lines are left out") if met else None


def _missing(evidence: Evidence, name: str, why: str) -> Problem:
    words = {"visit_date": "the day", "amount": "the money received", "patient_id": "the patient's code"}[name]
    seen = ", ".join(evidence.named([at]) for at in evidence.columns) if evidence.headed else ""
    fix = f"Export a column with {words}." + (f" Its headings are {seen}." if seen else "")
    return Problem(evidence.source, f"has no column for {name}{why}", fix)


# The day


def _choose_day(evidence: Evidence, found: Guesses, today: dt.date | None) -> tuple[int | None, Guess]:
    looks = {at: evidence.profiles[at].day * min(1.0, 1.1 * evidence.profiles[at].filled) for at in evidence.columns}
    scores = {at: evidence.says(at, "transactions.visit_date") * looks[at] for at in evidence.columns}
    scores = {at: score for at, score in scores.items() if looks[at] > 0.5}
    best = ranked(scores)
    if not best:
        others = ("patients.birth_date", "patients.member_since")
        best = [
            at for at, look in looks.items() if look > 0.8 and not any(evidence.says(at, one) > 0.7 for one in others)
        ]
        if not best:
            called = [
                evidence.named([at]) for at in evidence.columns if evidence.says(at, "transactions.visit_date") > 0.5
            ]
            return None, Guess(None, unsure=f": {called[0]} holds no days that rfmkit can read" if called else "")
        return best[0], Guess(evidence.layout.headings[best[0]], unsure=_by_cells(evidence, best))
    at, *others = best
    near = [other for other in others if scores[other] > _NEARLY * scores[at]]
    guess = Guess(evidence.layout.headings[at])
    if near:
        guess.unsure = f"the day of the visit, or is it {evidence.named(near)}?"
    elif scores[at] < _WEAK and others:
        guess.unsure = f"no heading says it clearly; there is {evidence.named(others)} too"
    return at, guess


def _by_cells(evidence: Evidence, places: list[int]) -> str:
    others = f"; {evidence.named(places[1:])} look alike" if len(places) > 1 else ""
    return f"its cells look like it, no heading says so{others}"


def guess_days(evidence: Evidence, places: list[int], today: dt.date | None) -> Guess:
    """Propose the date format of some columns; unsure where two orders fit every cell."""
    if all(evidence.typed(at) for at in places):
        return Guess(None, "its cells are dates")
    forms = evidence.days_by_format(places)
    iso = forms.get("%Y-%m-%d", 0)
    if evidence.layout.kind == "Excel" and iso and len(forms) > 1:
        # Typed cells are written in whichever format is declared: those that were typed as text decide.
        forms = {form: count for form, count in forms.items() if form != "%Y-%m-%d"}
    elif evidence.layout.kind == "Excel" and set(forms) == {"%Y-%m-%d"}:
        return Guess(None, "its cells are dates")
    if not forms:
        return Guess(None)
    first, *fewer = forms
    rivals = [form for form in fewer if forms[form] == forms[first] and evidence.days_apart(places, first, form)[0]]
    if not rivals:
        left = {
            form: evidence.days_apart(places, first, form)[1] for form in fewer if forms[form] > _ALSO * forms[first]
        }
        also = [f'{count} days are written as "{form}"' for form, count in left.items() if count]
        return Guess(first, unsure="; ".join(also[:2]))
    order = {form: evidence.disorder(places[0], form, today) for form in (first, *rivals)}
    # A reading in which many visits are still to come is none.
    past = [form for form in order if order[form][1] <= _FEW_LATE] or list(order)
    if len(past) == 1:
        return Guess(past[0])
    best = min(past, key=lambda form: (round(order[form][0], 1), form.startswith("%m"), form))
    others = " or ".join(f'"{form}"' for form in past if form != best)
    apart = max(order[form][0] for form in past) - order[best][0]
    why = "; so read, the lines follow one another" if apart > 0.1 else ""
    return Guess(best, unsure=f"{others} fits every day as well{why}")


# The patient


def _choose_patient(evidence: Evidence, found: Guesses, today: dt.date | None) -> tuple[int | None, Guess]:
    lines = found.lines if found.lines is not None else evidence.table
    free = [at for at in evidence.columns if at not in found.places.values()]
    scores = {at: evidence.says(at, "transactions.patient_id") * _like_an_id(evidence, at) for at in free}
    best = ranked(scores)
    names = ranked({at: evidence.profiles[at].words * (evidence.says(at, "patients.name") > _WEAK) for at in free})
    if not best or scores[best[0]] < _WEAK / 2:
        return _patient_by_cells(evidence, lines, free, names)
    at = best[0]
    guess = Guess(evidence.layout.headings[at])
    near = [other for other in best[1:] if scores[other] > _NEARLY * scores[at]]
    sets = [(at,), *((at, other) for other in [*near, *names[:1]])]
    count, *pairs = evidence.distinct(lines, *sets)
    total = int(lines.count().execute())
    # As many pairs as codes: each code has one name, or one of the other codes.
    apart = [other for other, pair in zip(near, pairs, strict=False) if pair > _SAME * count]
    named = bool(names) and pairs[-1] <= _SAME * count
    if apart:
        guess.unsure = f"the patient's code, or is it {evidence.named(apart)}?"
    elif names and not named:
        guess.unsure = f"a code has several names in {evidence.named([names[0]])}: is it the patient's?"
    elif count == total > 20:
        guess.unsure = "every line has another one: is it the patient's, or the receipt's?"
    elif scores[at] < _WEAK and not named:
        guess.unsure = "no heading says more clearly whose code it is"
    elif evidence.profiles[at].phone > 0.5:
        guess.unsure = "its cells look like phones, which a family may share"
    return at, guess


def _like_an_id(evidence: Evidence, at: int) -> float:
    """Whether cells look like codes: no days, names, addresses or amounts."""
    look = evidence.profiles[at]
    sure = evidence.says(at, "transactions.patient_id") > 0.9
    if (
        (look.day > 0.5 and not (sure and look.whole > 0.9))
        or look.email > 0.3
        or look.cents > 0.3
        or look.time > 0.5
        or look.words > 0.3
    ):
        return 0.0
    if look.phone > 0.5:
        return 0.8 if sure else 0.0
    score = look.digit if look.digit > 0.9 or not sure else 0.7
    return score * look.filled if look.digit > 0.5 or sure else 0.0


def _patient_by_cells(
    evidence: Evidence, lines: ir.Table, free: list[int], names: list[int]
) -> tuple[int | None, Guess]:
    """The column whose values come again as patients do, where no heading tells."""
    total = int(lines.count().execute())
    coded = [
        at
        for at in free
        if _like_an_id(evidence, at) > 0.9
        and evidence.profiles[at].phone < 0.5
        and max(meanings(evidence.layout.headings[at]).values(), default=0.0) < 0.7
    ]
    counts = dict(zip(coded, evidence.distinct(lines, *[(at,) for at in coded]), strict=True))
    again = {at: count for at, count in counts.items() if 2 < count < 0.9 * total}
    if names:
        pairs = evidence.distinct(lines, *[(at, names[0]) for at in again])
        again = {at: again[at] for at, pair in zip(list(again), pairs, strict=True) if pair <= _SAME * again[at]}
    best = sorted(again, key=lambda at: -again[at])
    if best:
        return best[0], Guess(evidence.layout.headings[best[0]], unsure=_by_cells(evidence, best))
    why = []
    if names:
        why.append(f"{evidence.named([names[0]])} holds names, which two patients may share")
    phones = [at for at in free if evidence.profiles[at].phone > 0.5]
    if phones:
        why.append(f"{evidence.named([phones[0]])} holds phones, which a family shares")
    return None, Guess(None, unsure=": " + "; ".join(why) if why else "")


# The others


def _choose_others(evidence: Evidence, found: Guesses) -> None:
    """Give the columns that are left to the keys whose headings they have, the clearest first."""
    taken = set(found.places.values())
    scores = {
        (name, at): evidence.says(at, f"transactions.{name}") * _like(evidence, name, at)
        for name in _OPTIONAL
        for at in evidence.columns
        if at not in taken
    }
    order = sorted((pair for pair, score in scores.items() if score > _ENOUGH), key=lambda pair: -scores[pair])
    for name, at in order:
        if name in found.places or at in found.places.values():
            continue
        guess = Guess(evidence.layout.headings[at])
        near = [
            other
            for other in evidence.columns
            if other != at
            and other not in found.places.values()
            and scores.get((name, other), 0) > 0.9 * scores[name, at]
        ]
        if name == "receipt_id":
            numbered = found.lines.filter(cells.text(evidence.cell(at, found.lines)).notnull())
            own, with_patient = evidence.distinct(numbered, (at,), (at, found.places["patient_id"]))
            if with_patient > _SAME * own:
                continue  # one number for many patients is no receipt
        elif name in _SHOWN and _too_many(evidence, found, name, at):
            what = f"{evidence.named([at])} says so, but has too many values: is it names, or remarks?"
            found.columns.setdefault(name, Guess(None, unsure=what))
            continue
        if near and name != "receipt_id":
            guess.unsure = f"or is it {evidence.named(near)}?"
        found.places[name], found.columns[name] = at, guess
    if not evidence.layout.header:
        texts = [
            at
            for at in evidence.columns
            if at not in found.places.values()
            and evidence.profiles[at].digit < 0.5
            and evidence.profiles[at].distinct > 1
            and not _of_the_patient(evidence, found, at)
        ]
        if texts:
            found.places["service"] = texts[0]
            found.columns["service"] = Guess(evidence.layout.headings[texts[0]], unsure=_by_cells(evidence, texts))


def _of_the_patient(evidence: Evidence, found: Guesses, at: int) -> bool:
    """Whether a column says who the patient is: hardly anybody has two values, and few share one."""
    patient = found.places["patient_id"]
    values, patients, pairs = evidence.distinct(found.lines, (at,), (patient,), (patient, at))
    return pairs <= _SAME * patients and values > patients / 4


def _too_many(evidence: Evidence, found: Guesses, name: str, at: int) -> bool:
    """Whether a column has so many values that it groups nothing, as names of patients and remarks have."""
    values, patients = evidence.distinct(found.lines, (at,), (found.places["patient_id"],))
    most = evidence.count / 2 if name == "service" else patients / 4
    return values > max(_FEW, most)


def _like(evidence: Evidence, name: str, at: int) -> float:
    """Whether a column's cells can be what its heading says."""
    look = evidence.profiles[at]
    if not look.filled:
        return 0.9 if name in _MONEY else 0.0
    match name:
        case "visit_time":
            return float(look.time > 0.9)
        case "discount" | "bonus_accrued" | "bonus_redeemed" | "quantity" | "days_supply":
            return float(look.number > _NEARLY_ALL and look.day < 0.5)
        case "receipt_id":
            return float(look.digit > 0.9 and look.day < 0.5)
        case "service":
            return 1.0 if look.number < 0.5 else 0.6
        case _:
            return float(look.day < 0.5 and look.time < 0.5 and look.cents < 0.5)


def _leave_out_unreadable(evidence: Evidence, found: Guesses) -> None:
    """A column of numbers with a cell that holds none would have its line rejected: it is not worth that."""
    currency = str(found.keys["currency"].value)
    decimal = str(found.keys["decimal"].value or ".")
    asked = [name for name in (*_MONEY, *_NUMBERS) if name in found.places]
    if not asked:
        return
    if "discount" in found.places and _is_percentage(evidence, found, decimal, currency):
        what = f"{evidence.named([found.places.pop('discount')])} looks like percentages, and not like money"
        found.columns["discount"] = Guess(None, unsure=what)
        asked.remove("discount")
    for name in asked:
        at = found.places[name]
        values = evidence.values(at, found.lines)
        cell = evidence.cell(at, values)
        if not cell.type().is_string() and not cell.type().is_numeric():
            wrong = cell.notnull()
        elif name in _MONEY:
            wrong = cells.money(cell, decimal, needed=False, currency=currency)[1].notnull()
        else:
            wrong = cells.text(cell).notnull() & evidence.number(at, values, decimal, None).isnull()
        count = int(times_of(values, wrong).execute())
        if count:
            what = "amounts of money" if name in _MONEY else "numbers"
            plural = f"{count} lines hold" if count > 1 else "a line holds"
            found.columns[name] = Guess(
                None, unsure=f"{evidence.named([found.places[name]])} says so, but {plural} no {what}"
            )
            del found.places[name]


def _is_percentage(evidence: Evidence, found: Guesses, decimal: str, currency: str) -> bool:
    """Whether discounts are few whole numbers up to a hundred, and small beside the amounts."""
    places = [found.places["discount"], found.places["amount"]]
    discount, amount = (frame for _, frame in evidence.numbers(evidence.sample, places, decimal, currency).items())
    some = discount[discount.fillna(0) != 0]
    few = some.between(0, 100).all() and (some % 1 == 0).all() and some.nunique() <= _FEW
    return bool(len(some) and few and amount.abs().median() > 2 * 100)
