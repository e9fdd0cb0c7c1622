"""What people at a maker of veterinary remedies write: sentences, headings, names of papers, tables."""

from random import Random

PRODUCTS = {  # milligrams of a dose, price of a pack
    "Calmoquin": (25.0, 18.4),
    "Ferrobine": (200.0, 11.9),
    "Gastrolind": (40.0, 23.75),
    "Hoofbalm": (5.0, 9.6),
    "Lactonorm": (120.0, 31.2),
    "Mitexol": (2.5, 14.35),
    "Pulmovet": (75.0, 27.8),
    "Tendalin": (60.0, 42.1),
}
HEADINGS = {
    "hr": [
        "Leave",
        "Working hours",
        "Travel",
        "First days",
        "Training",
        "Pension",
        "Sickness",
        "Notice",
        "Bonus",
        "Grades",
    ],
    "sales": ["Terms", "Offer", "Delivery", "Discounts", "Visit", "Next steps", "Returns", "Competitors", "Regions"],
    "research": [
        "Method",
        "Animals",
        "Results",
        "Dose",
        "Side effects",
        "Discussion",
        "Stability",
        "Next trial",
        "Ethics",
    ],
    "quality": [
        "Scope",
        "Sampling",
        "Limits",
        "Deviation",
        "Cause",
        "Corrective action",
        "Release",
        "Storage",
        "Cleaning",
    ],
    "finance": ["Result", "Costs", "Forecast", "Stock", "Receivables", "Currency", "Tax", "Investments", "Closing"],
    "it": ["Access", "Backup", "Printers", "Outage", "Update", "Phones", "Devices", "Mail", "Network"],
}
SUBJECTS = {
    "hr": ["Rules for {x}", "Guide to {x}", "Questions on {x}", "Bands for {x}"],
    "sales": ["Offer of {p} to {t}", "Price list {p}", "Visit to {t}", "Tender of {t}", "Plan for {t}"],
    "research": ["Trial of {p} in {a}", "Report on {p}", "Protocol {n} {p}", "Notes on {i}"],
    "quality": ["Procedure for {m}", "Deviation {n} at the {m}", "Certificate {p} {n}", "Audit of {t}"],
    "finance": ["Closing of {w}", "Budget of the {m}", "Costs of {p}", "Forecast {w}"],
    "it": ["How to use the {m}", "Outage of {w}", "Handbook of {x}", "Change {n}"],
}
FILL = {
    "x": [
        "leave",
        "travel",
        "pensions",
        "overtime",
        "trainees",
        "part-time",
        "parents",
        "shifts",
        "bonuses",
        "first-aiders",
        "drivers",
        "visitors",
    ],
    "t": [
        "Aalen",
        "Brno",
        "Cork",
        "Deal",
        "Évora",
        "Falun",
        "Gent",
        "Husum",
        "Ipswich",
        "Jever",
        "Kufstein",
        "Lugo",
        "Møn",
        "Nîmes",
        "Öland",
        "Pécs",
    ],
    "p": list(PRODUCTS),
    "a": ["horses", "foals", "calves", "ewes", "goats", "bees", "hens", "dogs", "lambs", "donkeys", "piglets", "kids"],
    "i": [
        "willow-bark",
        "linseed",
        "propolis",
        "zinc",
        "iodine",
        "thyme",
        "chamomile",
        "yeast",
        "beeswax",
        "lanolin",
        "inulin",
        "betaine",
    ],
    "m": [
        "tablet-press",
        "mixing-hall",
        "cold-room",
        "labeller",
        "capsule-line",
        "weighing-room",
        "dryer",
        "still",
        "packing-bench",
        "scale",
    ],
    "w": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    "who": [
        "Ilse",
        "Marek",
        "Oona",
        "Tadhg",
        "Beatriz",
        "Sven",
        "Klára",
        "Piet",
        "Rhona",
        "Anselm",
        "Ginevra",
        "Jarl",
        "Maud",
        "Otis",
    ],
    "adj": [
        "fresh",
        "coarse",
        "weekly",
        "spare",
        "sealed",
        "damp",
        "local",
        "smaller",
        "second",
        "earlier",
        "careful",
        "partial",
        "joint",
        "quiet",
    ],
    "when": [
        "before lunch",
        "on Fridays",
        "at the end of the shift",
        "within ten days",
        "after the audit",
        "in the first week",
        "from next spring",
        "overnight",
    ],
    "verb": [
        "checks",
        "weighs",
        "stores",
        "cools",
        "seals",
        "counts",
        "signs",
        "orders",
        "labels",
        "rinses",
        "records",
        "tests",
    ],
    "why": [
        "the seal had worn",
        "two deliveries crossed",
        "the scale drifted",
        "nobody had signed",
        "demand rose",
        "the vet asked for it",
        "humidity was high",
        "the supplier was late",
    ],
}
LINES = {
    "hr": [
        "Everybody with {n} years of service has {d} days of leave {when}.",
        "{who} answers questions about {x} and keeps the list of {x} {when}.",
        "A {adj} form is signed by {who} and handed in {when}.",
        "Trips to {t} are booked {when}, as {why}.",
        "Nobody works longer than {d} hours a week without the word of {who}.",
        "The allowance for {x} is {e} euros a month.",
    ],
    "sales": [
        "{t} takes {n} packs of {p} {when} at {e} euros each.",
        "The discount of {d} percent is not given to {t}, because {why}.",
        "{who} visits {t} {when} and brings {adj} samples of {p}.",
        "Delivery to {t} takes {d} days; {who} confirms it {when}.",
        "They ask for {p} in {adj} packs of {n} and for leaflets about {a}.",
        "Returns of {p} from {t} came to {n}, since {why}.",
    ],
    "research": [
        "We gave {n} {a} {e} mg of {p} {when} and saw no {adj} reaction.",
        "With {i} in the feed the {a} ate {d} percent more {when}.",
        "{who} repeats the {adj} trial in {t} with {n} {a}.",
        "The half-life in {a} is {e} hours, which does not depend on {i}.",
        "Because {why}, {n} samples of {p} were lost {when}.",
        "{p} with {i} stays stable for {d} months in the {m}.",
    ],
    "quality": [
        "The {m} is rinsed {when} for {d} minutes and {who} {verb} the {adj} filter.",
        "{who} {verb} {n} packs of {p} from each batch {when}.",
        "A value above {e} is not released; {who} opens a deviation {when}.",
        "The cause: {why}, and the {adj} check at the {m} was left out.",
        "Keep {i} dry at {d} degrees in the {m}, {when} too.",
        "The audit in {t} found {n} {adj} labels at the {m}.",
    ],
    "finance": [
        "Costs of the {m} were {e} thousand in {w}, because {why}.",
        "We expect {n} thousand from {t} {when}, not before {w}.",
        "Stock of {i} is worth {e} thousand; {who} counts it {when}.",
        "{p} brought {d} percent of the margin of {w}.",
        "The {adj} invoice of {t} stays open until {w}.",
        "{who} books {n} accruals for {x} {when}.",
    ],
    "it": [
        "The {m} prints through the {adj} queue; {who} restarts it {when}.",
        "Backups of {w} are kept for {d} days in {t}.",
        "Ask {who} for a {adj} phone; it takes {d} days, as {why}.",
        "{n} devices at the {m} get the update {when}.",
        "Do not plug the {adj} cable into the {m}: {why}.",
        "Mail to {t} waits up to {e} minutes {when}.",
    ],
}  # fmt: skip


def _filled(dice: Random, text: str) -> str:
    numbers = {"n": str(dice.randint(2, 480)), "d": str(dice.randint(2, 40)), "e": f"{dice.uniform(0.5, 90):.2f}"}
    return text.format(**{name: dice.choice(words) for name, words in FILL.items()}, **numbers)


def sentence(dice: Random, folder: str) -> str:
    """One sentence of a department, a small part of them an aside of another one."""
    of = folder if dice.random() < 0.9 else dice.choice(sorted(LINES))
    made = _filled(dice, dice.choice(LINES[of]))
    return made[0].upper() + made[1:]


def section(dice: Random, folder: str) -> list[str]:
    return [sentence(dice, folder.split("/")[0]) for _ in range(dice.randint(2, 6))]


def heading(dice: Random, folder: str, n: int) -> str:
    return HEADINGS[folder.split("/")[0]][(n * 3 + dice.randrange(3)) % 9]


def subject(dice: Random, folder: str) -> str:
    return _filled(dice, dice.choice(SUBJECTS[folder.split("/")[0]]))


def mail_subject(dice: Random) -> str:
    return _filled(
        dice, dice.choice(["{p} for {t}", "Question on {x}", "The {m} again", "{t}, {when}", "Re: {i} and {p}"])
    )


def table(dice: Random) -> list[list[str]]:
    """Rows of a table with its header: article, place, amount, price, person."""
    return [
        ["Article", "Place", "Amount", "Price", "Person"],
        *(
            [
                dice.choice(FILL["p"]),
                dice.choice(FILL["t"]),
                str(dice.randint(1, 400)),
                f"{dice.uniform(1, 90):.2f}",
                dice.choice(FILL["who"]),
            ]
            for _ in range(dice.randint(3, 9))
        ),
    ]
