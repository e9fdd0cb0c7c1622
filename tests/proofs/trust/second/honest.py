"""Honest nights that look like harm: each should be stopped rarely, and then be released in one step."""

from dataclasses import replace
from random import Random

from tests.proofs.trust.second.firm import Firm
from tests.proofs.trust.second.harm import FirmHarms, every, ids, inside, orders, put, update, with_text, words

honest = FirmHarms("share", every)
honest_rows = FirmHarms("orders", ids())
FRENCH = {
    "hr": "Chaque personne remplit le formulaire avant la fin de la semaine.",
    "sales": "Le client reçoit les boîtes après la visite du vendeur.",
    "research": "Les animaux ont bien supporté la dose donnée le matin.",
    "quality": "Chaque lot est contrôlé avant la sortie de la chambre froide.",
    "finance": "Les coûts du mois dépassent un peu le budget prévu.",
    "it": "L'imprimante redémarre toute seule pendant la nuit.",
}


@honest("a new template: a foot and numbered headings in all of it", "boilerplate_grown", with_text, whole=True)
def new_template(firm: Firm, keys: list[str], dice: Random) -> None:
    put(
        firm,
        keys,
        lambda d: replace(
            d,
            foot="Hollow Oak Remedies, form 7, issue 3.",
            sections=tuple((f"{n}. {name}" if name else name, lines) for n, (name, lines) in enumerate(d.sections, 1)),
        ),
    )


@honest("two folders have other names", "documents_moved", whole=True)
def folders_renamed(firm: Firm, keys: list[str], dice: Random) -> None:
    for old, new in (("quality", "quality-and-safety"), ("it", "systems")):
        (firm.folder / new).mkdir()
        (firm.folder / new / ".access.yaml").write_bytes((firm.folder / old / ".access.yaml").read_bytes())
        for key in inside(old)(firm):
            firm.move(key, new + key.removeprefix(old))


@honest(
    "a new price list: every price of the papers of sales",
    "numbers_multiplied figures_replaced",
    inside("sales"),
    whole=True,
)
def price_list(firm: Firm, keys: list[str], dice: Random) -> None:
    def dearer(text: str) -> str:
        return f"{float(text) * 1.04:.2f}" if text.count(".") == 1 and text.replace(".", "").isdigit() else text

    put(firm, keys, lambda d: words(d, lambda t: " ".join(dearer(w) for w in t.split(" "))))


@honest(
    "papers of quality in French, as new documents", "volume_growth language_changed", inside("quality"), whole=True
)
def translation_added(firm: Firm, keys: list[str], dice: Random) -> None:
    for key in [k for k in keys if firm.docs[k].sections][:14]:
        doc, (stem, _, ending) = firm.docs[key], key.rpartition(".")
        lines = tuple(f"{FRENCH[dice.choice(sorted(FRENCH))]} Voir le point {n}." for n in range(3))
        firm.save(
            replace(
                doc,
                key=f"{stem}.fr.{ending}",
                title=f"{doc.title} (fr)",
                sections=tuple((n, lines) for n, _ in doc.sections),
            )
        )


@honest(
    "a department is dissolved: its papers go, its people change",
    "mass_deletion part_stopped one_segment",
    inside("it"),
    whole=True,
)
def department_dissolved(firm: Firm, keys: list[str], dice: Random) -> None:
    for key in keys:
        if key not in firm.fixed:
            firm.drop(key)
    firm.teams["quality"] += firm.teams["it"]
    firm.teams["it"] = []
    firm.save_groups()


@honest("the month's end: fifteen papers of finance", "volume_growth", whole=True)
def month_end(firm: Firm, keys: list[str], dice: Random) -> None:
    for _ in range(15):
        firm.save(firm.new_doc(dice, "finance"))


honest_rows.sets(
    "prices_of_the_year",
    "unit_price = round(unit_price * 1.04, 2)",
    "prices of the year: four percent on all open orders",
    "numbers_multiplied column_values_changed",
    ids("status = 'open'"),
    whole=True,
)


@honest_rows(
    "the month's end: whatever is invoiced is paid, and thirty orders come",
    "column_values_changed volume_growth",
    ids("status = 'invoiced'"),
    whole=True,
)
def orders_month_end(firm: Firm, keys: list[str], dice: Random) -> None:
    update(firm, keys, "status = 'paid'")
    with orders(firm) as db:
        (last,) = db.execute("SELECT max(id) FROM orders").fetchone() or (0,)
        for n in range(30):
            firm.order(db, dice, last + 1 + n)


@honest_rows("old orders are archived", "mass_deletion", ids("status = 'paid'"), whole=True)
def archived(firm: Firm, keys: list[str], dice: Random) -> None:
    with orders(firm) as db:
        db.execute(
            "DELETE FROM orders WHERE id > 10 AND id IN (SELECT unnest(?))", [[int(k) for k in keys[: len(keys) // 3]]]
        )


honest_rows.sets(
    "customer_renamed",
    "customer = 'Moravian Veterinary Union'",
    "a customer has another name",
    "names_replaced column_values_changed",
    ids("customer LIKE 'Brno%'"),
    whole=True,
)
