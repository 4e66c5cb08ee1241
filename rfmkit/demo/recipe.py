"""What a demo clinic is made of: services, kinds of patients, words. No behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

EVEN = (1000,) * 12


@dataclass(frozen=True)
class Service:
    """A line of the price list.

    `price` is in hundredths of the currency, of the year 2021; 0 is a free check-up. `doctors` names the
    group of doctors who do it. `season` weighs the service by month, January first, in thousandths.
    """

    name: str
    category: str
    price: int
    doctors: str = ""
    most: int = 1
    days_supply: int = 0
    season: tuple[int, ...] = EVEN


@dataclass(frozen=True)
class Kind:
    """A kind of patient: how they come, what they buy, how they leave.

    The days between visits are Erlang(`shape`) with the patient's own mean; the patients' rates are
    gamma with shape `spread` around one visit in `mean_days`. After every visit, the first included, a
    patient leaves with a probability of their own from Beta(`leave`): the world of MBG/NBD, and of
    MBG/CNBD-k where `shape` > 1.
    """

    name: str
    newcomers: float
    known: float
    shape: int
    mean_days: float
    spread: int
    leave: tuple[int, int]
    main: Mapping[str, float]
    own: Mapping[str, float] = field(default_factory=dict)
    own_counts: tuple[float, ...] = (1.0,)
    own_quantity: int = 1
    first: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    ages: tuple[int, int] = (42, 14)
    youngest: int = 7
    female: float = 0.6
    joins: float = 0.0
    seasonal: bool = True
    stays_as: str = ""
    stays: float = 0.0


@dataclass(frozen=True)
class Branch:
    """A place of the clinic; `code` begins its receipt numbers, `opens` is its first month, from 0."""

    name: str
    code: str
    opens: int = 0
    weight: float = 1.0


@dataclass(frozen=True)
class Programme:
    """A bonus programme of one level. Bonuses do not expire within the demo.

    `accrual` and `most_redeemed` are thousandths of a purchase, `least` hundredths of the currency.
    `lift` multiplies a member's rate of visits: the programme's true effect.
    """

    starts: int
    accrual: int
    most_redeemed: int
    least: int
    redeems: float
    lift: float
    discount: int = 100
    discounted: float = 0.08


@dataclass(frozen=True)
class Names:
    """Invented names, the two tuples of a pair for women and men. `pattern` puts them together."""

    pattern: str
    surnames: tuple[tuple[str, ...], tuple[str, ...]]
    given: tuple[tuple[str, ...], tuple[str, ...]]
    middle: tuple[tuple[str, ...], tuple[str, ...]]
    test: str


@dataclass(frozen=True)
class Phones:
    """`size` numbers that nobody has; `patterns` are ways to write one, cut into `groups` of digits.

    Person N has number N × `step`, which has no factor in common with `size`.
    """

    size: int
    step: int
    groups: tuple[int, ...]
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """How the clinic's system writes its two files: (heading, rfmkit's name) in the files' order."""

    encoding: str
    delimiter: str
    decimal: str
    date_format: str
    newline: str
    payments: tuple[tuple[str, str], ...]
    patients: tuple[tuple[str, str], ...]
    sexes: tuple[str, str]
    yes: str
    no: str
    dated_consents: tuple[str, ...]
    patient_id: str
    receipt_id: str
    return_id: str


@dataclass(frozen=True)
class Recipe:
    """A demo clinic. `arrivals` is (new patients in the first month, growth per month)."""

    name: str
    seed: int
    services: tuple[Service, ...]
    kinds: tuple[Kind, ...]
    names: Names
    phones: Phones
    layout: Layout
    arrivals: tuple[float, float]
    season: tuple[int, ...]
    price_step: int
    inflation: int
    consent_sources: tuple[str, ...]
    known: int = 0
    tiers: tuple[int, ...] = (1000,)
    doctors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    branches: tuple[Branch, ...] = (Branch("", ""),)
    programme: Programme | None = None
    closed_weekdays: tuple[int, ...] = ()
    closed_days: tuple[tuple[int, int], ...] = ()
    children: float = 0.0
    refunds: float = 0.012
    payment_kinds: tuple[str, ...] = ()

    def service(self, name: str) -> int:
        """The position of a service in the price list."""
        return [service.name for service in self.services].index(name)

    def kind(self, name: str) -> int:
        """The position of a kind of patients."""
        return [kind.name for kind in self.kinds].index(name)
