"""Sentences of an invented freight company, in three languages: short, varied, the same for the same dice."""
# ruff: noqa: SIM905  words are read more easily without quotation marks

from random import Random

TOPICS = {
    "handbook": ["leave", "travel", "onboarding", "parking", "training", "remote work", "sick days", "equipment"],
    "legal": ["carrier agreement", "lease", "liability", "claims", "insurance", "confidentiality", "arbitration"],
    "sales": ["tender", "quotation", "key account", "rebate", "forecast", "trade fair", "price list", "renewal"],
    "engineering": ["crane control", "berth planner", "gate scanner", "yard map", "release", "telemetry", "outage"],
    "support": ["delayed container", "customs form", "lost seal", "damaged pallet", "wrong invoice", "late pickup"],
    "finance": ["closing", "accruals", "budget", "audit trail", "dunning", "fuel surcharge", "currency hedge"],
}
ADJECTIVES = (
    "annual quiet northern revised urgent temporary shared narrow reliable costly modest seasonal joint detailed "
    "regional standard optional damaged heavy early missing complete simple binding open written automatic local"
).split()
NOUNS = (
    "terminal crane berth lorry manifest pallet schedule contract ledger invoice warehouse driver vessel seal permit "
    "tariff counter gate depot rail wagon pilot harbour engine sensor dashboard shipment forklift customer broker "
    "surveyor hatch ramp dock checklist tablet route bridge ferry reefer trailer planner auditor notice clause"
).split()
VERBS = (
    "replaces reaches confirms delays checks supports blocks covers follows explains records exceeds repeats lowers "
    "moves settles opens closes reports reviews compares needs sends receives measures protects splits joins"
).split()
PLACES = (
    "Zürich|Malmö|Gdańsk|Košice|São Paulo|Besançon|Århus|Łódź|Rotterdam|Genoa|Tromsø|Málaga|Plzeň|Göteborg|Trieste|"
    "Oulu|Cádiz|Brăila|Klaipėda|Ålesund|Antwerp|Nîmes|Burgas|Kraków"
).split("|")
TIMES = (
    "before noon|at the end of the quarter|on the first shift|after the audit|within two weeks|during the night|"
    "every other Tuesday|once the form is signed|by the third working day|until further notice|in the low season|"
    "after the holidays|at each handover|as soon as the tide allows|twice a year|while the gate is closed"
).split("|")
REASONS = (
    "the old rule expired|two teams share one key|storms closed the strait|the supplier changed its format|"
    "nobody answered the first letter|the scale was recalibrated|the café on the quay moved|costs rose again|"
    "the insurer asks for it|a naïve estimate failed|the depot has only one ramp|spare parts arrive late|"
    "the customer pays in advance|the new vessel is longer|staff rotate between sites|the façade is repaired"
).split("|")
GERMAN = (
    ["Der", "Jeder", "Unser", "Dieser"],
    "Kran Fahrer Vertrag Liegeplatz Zähler Plan Kunde Frachtbrief Prüfer Lotse Schlüssel Anhänger Bericht Zug".split(),
    "prüft ersetzt verzögert bestätigt benötigt überschreitet meldet schützt öffnet begleitet vergleicht".split(),
    ["die Rechnung", "das Lager", "die Brücke", "den Übergang", "die Fähre", "das Gerät", "die Gebühr", "das Tor"],
    [
        "vor dem Mittag",
        "nach der Prüfung",
        "während der Nacht",
        "am Quartalsende",
        "jede zweite Woche",
        "bis auf Weiteres",
    ],
    ["weil die Kosten steigen", "da niemand geantwortet hat", "obwohl das Büro schließt", "sobald es möglich ist"],
)
FRENCH = (
    ["Le", "Chaque", "Notre", "Ce"],
    "quai camion contrat navire chauffeur tarif dépôt rapport client pilote scellé colis préavis douanier".split(),
    "vérifie remplace retarde confirme dépasse protège accompagne signale répète réduit mesure complète".split(),
    ["la facture", "l'entrepôt", "le pont roulant", "la passerelle", "le registre", "la redevance", "le portique"],
    [
        "avant midi",
        "après l'été",
        "pendant la nuit",
        "à la fin du mois",
        "tous les quinze jours",
        "jusqu'à nouvel ordre",
    ],
    ["parce que les coûts augmentent", "car personne n'a répondu", "bien que le bureau ferme", "dès que possible"],
)


def sentence(dice: Random) -> str:
    """One English sentence of eight to twenty words."""
    pick = dice.choice
    match dice.randrange(6):
        case 0:
            return (
                f"The {pick(ADJECTIVES)} {pick(NOUNS)} {pick(VERBS)} the {pick(NOUNS)} in {pick(PLACES)} {pick(TIMES)}."
            )
        case 1:
            return f"Because {pick(REASONS)}, a {pick(ADJECTIVES)} {pick(NOUNS)} {pick(VERBS)} each {pick(NOUNS)} {pick(TIMES)}."
        case 2:
            return f"{pick(PLACES)} keeps {dice.randrange(3, 90)} {pick(ADJECTIVES)} units of the {pick(NOUNS)} {pick(TIMES)}."
        case 3:
            return f"Where a {pick(NOUNS)} {pick(VERBS)} the {pick(ADJECTIVES)} {pick(NOUNS)}, {pick(REASONS)}."
        case 4:
            return f"Ask the {pick(NOUNS)} desk in {pick(PLACES)} — it {pick(VERBS)} every {pick(ADJECTIVES)} {pick(NOUNS)}."
        case _:
            return f"No {pick(NOUNS)} leaves {pick(PLACES)} {pick(TIMES)}, since {pick(REASONS)} and the {pick(NOUNS)} waits."


def foreign(dice: Random, grammar: tuple[list[str], ...] = GERMAN) -> str:
    """One sentence of another language."""
    article, noun, verb, thing, when, why = (dice.choice(part) for part in grammar)
    return f"{article} {noun} {verb} {thing} in {dice.choice(PLACES)} {when}, {why}."


def paragraph(dice: Random, n: int, german: bool = False) -> list[str]:
    return [foreign(dice) if german else sentence(dice) for _ in range(n)]


def title(dice: Random, topic: str) -> str:
    words = dice.choice(TOPICS[topic])
    return f"{words[0].upper()}{words[1:]}, {dice.choice(ADJECTIVES)} {dice.choice(NOUNS)} of {dice.choice(PLACES)}"
