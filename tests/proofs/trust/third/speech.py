"""What the third company writes, in English, German and French: sentences with places that dice fill."""

from random import Random

LANGUAGES = ("en", "de", "fr")
STATIONS = ("Tannberg", "Oberau", "Le Fayel", "Grünwies", "Saint-Imbert", "Kaltbrunn", "Montclar", "Rietmatt")
PERSONS = (
    "Ueli Brunner", "Claire Fontannaz", "Hanna Zbinden", "Olivier Perrin", "Moira Keating", "Beat Rüegg",
    "Sylvie Monnard", "Dafydd Pryce", "Regula Ammann", "Luc Chevalley",
)  # fmt: skip
SERIES = ("RBe 521", "RBe 526", "Tm 234", "Ge 482", "Bt 310")
PARTS = {  # with its part number, its torque in Nm and its price in francs
    "brake block": ("004512", 85.0, 132.0),
    "pantograph strip": ("007730", 24.0, 318.5),
    "door drive": ("012094", 12.5, 1740.0),
    "wheelset bearing": ("000381", 310.0, 2290.0),
    "compressor valve": ("020416", 46.0, 402.0),
    "sand nozzle": ("009025", 18.0, 57.8),
    "coupling hook": ("001170", 540.0, 986.0),
    "axle counter": ("015563", 8.5, 1215.0),
}
FIRMS = ("Ferrotec Lindau", "Ateliers Morand", "Signal Werke Olten", "Brightrail Systems", "Carbex")
EMERGENCY = "+41 27 555 01 18"
ACCOUNT = "CH44 3199 9123 0008 8901 2"
INTRANET = "https://intra.tannbergbahn.example/rules"
TOPICS = {
    "operations": {
        "en": ("shunting", "the winter timetable", "single-track working", "the last connection"),
        "de": ("der Rangierdienst", "der Winterfahrplan", "der Einspurbetrieb", "der letzte Anschluss"),
        "fr": ("la manœuvre", "l'horaire d'hiver", "la voie unique", "la dernière correspondance"),
    },
    "workshop": {
        "en": ("the wheel lathe", "the brake test", "the door check", "the bogie exchange"),
        "de": ("die Radsatzdrehbank", "die Bremsprobe", "die Türprüfung", "der Drehgestelltausch"),
        "fr": ("le tour en fosse", "l'essai du frein", "le contrôle des portes", "l'échange du bogie"),
    },
    "track": {
        "en": ("ballast cleaning", "rail grinding", "the bridge at Oberau", "the points heating"),
        "de": ("die Schotterreinigung", "das Schienenschleifen", "die Brücke Oberau", "die Weichenheizung"),
        "fr": ("le criblage du ballast", "le meulage des rails", "le pont d'Oberau", "le chauffage des aiguilles"),
    },
    "safety": {
        "en": ("a signal passed at danger", "the near miss", "dangerous goods", "level crossings"),
        "de": ("die Signalüberfahrung", "der Beinaheunfall", "das Gefahrgut", "die Bahnübergänge"),
        "fr": ("le franchissement du signal", "le presque-accident", "les matières dangereuses", "les passages"),
    },
    "people": {
        "en": ("shift plans", "night allowances", "the driver's medical", "parental leave"),
        "de": ("die Dienstpläne", "die Nachtzulagen", "die Lokführertauglichkeit", "der Elternurlaub"),
        "fr": ("les plans de service", "les indemnités de nuit", "l'aptitude médicale", "le congé parental"),
    },
    "pay": {
        "en": ("the grade of the drivers", "the bonus of the depot heads", "severance", "the pay round"),
        "de": ("die Lohnklasse der Lokführer", "der Bonus der Depotleiter", "die Abfindung", "die Lohnrunde"),
        "fr": ("la classe des mécaniciens", "la prime des chefs", "l'indemnité de départ", "le tour salarial"),
    },
    "legal": {
        "en": ("the concession", "the tender for rolling stock", "the land lease", "liability"),
        "de": ("die Konzession", "die Ausschreibung", "das Baurecht", "die Haftpflicht"),
        "fr": ("la concession", "l'appel d'offres", "le droit de superficie", "la responsabilité"),
    },
    "board": {
        "en": ("the sale of the depot", "the offer of a partner", "the choice of a director", "the new loan"),
        "de": ("der Verkauf des Depots", "das Angebot eines Partners", "die Wahl der Direktion", "das Darlehen"),
        "fr": ("la vente du dépôt", "l'offre d'un partenaire", "le choix du directeur", "le nouvel emprunt"),
    },
    "customers": {
        "en": ("the day pass", "lost property", "bicycles on trains", "refunds"),
        "de": ("die Tageskarte", "die Fundsachen", "der Veloverlad", "die Erstattungen"),
        "fr": ("la carte journalière", "les objets trouvés", "les vélos à bord", "les remboursements"),
    },
    "finance": {
        "en": ("the compensation account", "the energy bill", "the spare parts stock", "depreciation"),
        "de": ("die Abgeltungsrechnung", "die Stromrechnung", "das Ersatzteillager", "die Abschreibungen"),
        "fr": ("le compte d'indemnités", "la facture d'énergie", "le stock de pièces", "les amortissements"),
    },
}
HEADS = {
    "en": ("Scope", "Procedure", "Findings", "Who decides", "Measures", "Open points", "Cost", "Before departure"),
    "de": ("Geltung", "Ablauf", "Befund", "Zuständigkeit", "Massnahmen", "Offene Punkte", "Kosten", "Vor der Abfahrt"),
    "fr": ("Portée", "Déroulement", "Constat", "Compétence", "Mesures", "Points ouverts", "Coûts", "Avant le départ"),
}
SAYS = {
    "en": (
        "Regarding {topic}, {p} must sign the sheet before {t} at {s}.",
        "The pressure in the main pipe is at least {bar} bar on vehicle {v}.",
        "Speed between {s} and {s2} is limited to {kmh} km/h until {d}.",
        "Do not release the brake of {v} while staff stand on the left side.",
        "{f} delivered {n} pieces with part number {pn} on {d}.",
        "The wear was {mm} mm at the right wheel, at most {mm2} mm are allowed.",
        "{p} reported {topic} to the control room at {t}, and {p2} confirmed it.",
        "The budget for {topic} is CHF {chf} and was not exceeded.",
        "Call {tel} at once if a train does not stop at {s}.",
        "An area of {area} m² beside track {n} is leased to {f}.",
        "Drivers must not leave {s} before the departure order of {p}.",
        "The rules on {topic} are kept at {url} and apply from {d}.",
        "Of the trains in week {n}, {pct} % reached {s} on time.",
        "Invoices of {f} are paid to account {iban} within {n} days.",
        "The load per axle of {v} is at most {kn} kN on the line to {s2}.",
        "If {topic} takes longer than {n} minutes, {p2} may order a bus.",
        "{p} takes over {topic} from {p2} on {d}.",
        "Nobody enters the track at {s} without a lookout on the left.",
    ),
    "de": (
        "Für {topic} muss {p} das Blatt vor {t} Uhr in {s} unterschreiben.",
        "Der Druck in der Hauptleitung von {v} beträgt mindestens {bar} bar.",
        "Zwischen {s} und {s2} gilt bis zum {d} höchstens {kmh} km/h.",
        "Die Bremse von {v} darf nicht gelöst werden, solange links jemand steht.",
        "{f} hat am {d} von der Teilenummer {pn} {n} Stück geliefert.",
        "Die Abnützung am rechten Rad war {mm} mm, höchstens {mm2} mm sind erlaubt.",
        "{p} meldete um {t} Uhr der Leitstelle {topic}, {p2} hat es bestätigt.",
        "Das Budget dafür ist CHF {chf} und wurde nicht überschritten.",
        "Hält ein Zug in {s} nicht, ist sofort {tel} anzurufen.",
        "Eine Fläche von {area} m² bei Gleis {n} ist an {f} verpachtet.",
        "Niemand verlässt {s} ohne den Abfahrbefehl von {p}.",
        "Die Regeln stehen unter {url} und gelten ab dem {d}.",
        "In Woche {n} waren {pct} % der Züge in {s} pünktlich.",
        "Rechnungen von {f} gehen innert {n} Tagen auf das Konto {iban}.",
        "Die Achslast von {v} beträgt höchstens {kn} kN bis {s2}.",
        "Dauert es länger als {n} Minuten, kann {p2} einen Bus bestellen.",
        "Am {d} übernimmt {p} von {p2} {topic}.",
        "Das Gleis bei {s} wird nicht ohne Wache auf der linken Seite betreten.",
    ),
    "fr": (
        "Pour {topic}, {p} doit signer la feuille avant {t} à {s}.",
        "La pression dans la conduite de {v} est de {bar} bar au moins.",
        "Entre {s} et {s2}, la vitesse est de {kmh} km/h au plus jusqu'au {d}.",
        "Le frein de {v} ne doit pas être desserré tant que quelqu'un est à gauche.",
        "{f} a livré {n} pièces du numéro {pn} le {d}.",
        "L'usure de la roue droite était de {mm} mm, {mm2} mm au plus sont admis.",
        "{p} a annoncé {topic} au centre à {t}, et {p2} l'a confirmé.",
        "Le budget de CHF {chf} n'a pas été dépassé.",
        "Si un train ne s'arrête pas à {s}, appeler aussitôt le {tel}.",
        "Une surface de {area} m² près de la voie {n} est louée à {f}.",
        "Personne ne quitte {s} sans l'ordre de départ de {p}.",
        "Les règles se trouvent sous {url} et valent dès le {d}.",
        "Durant la semaine {n}, {pct} % des trains étaient à l'heure à {s}.",
        "Les factures de {f} sont payées sur le compte {iban} dans les {n} jours.",
        "La charge par essieu de {v} est de {kn} kN au plus jusqu'à {s2}.",
        "Si cela dure plus de {n} minutes, {p2} peut commander un bus.",
        "Le {d}, {p} reprend {topic} de {p2}.",
        "On n'entre pas sur la voie à {s} sans garde du côté gauche.",
    ),
}
FINDINGS = {
    "en": (
        "The {part} on the left side of {v} is worn to {mm} mm.",
        "Replaced after {n} days, and no leak was found at {bar} bar.",
        "{p} must repeat the test at {s} before the next run.",
        "The noise at {kmh} km/h did not come back after the exchange.",
        "Delivered by {f}, checked with {kn} kN.",
        "The vehicle may not leave {s} with this defect.",
    ),
    "de": (
        "Links am Fahrzeug {v} ist die Stelle bis auf {mm} mm abgenützt.",
        "Nach {n} Tagen ersetzt, bei {bar} bar wurde kein Leck gefunden.",
        "{p} muss die Prüfung in {s} vor der nächsten Fahrt wiederholen.",
        "Das Geräusch bei {kmh} km/h kam nach dem Tausch nicht wieder.",
        "Von {f} geliefert und mit {kn} kN geprüft.",
        "Das Fahrzeug darf {s} mit diesem Mangel nicht verlassen.",
    ),
    "fr": (
        "La pièce du côté gauche de {v} est usée à {mm} mm.",
        "Remplacée après {n} jours, aucune fuite n'a été trouvée à {bar} bar.",
        "{p} doit répéter l'essai à {s} avant la prochaine course.",
        "Le bruit à {kmh} km/h n'est pas revenu après l'échange.",
        "Livrée par {f} et contrôlée avec {kn} kN.",
        "Le véhicule ne doit pas quitter {s} avec ce défaut.",
    ),
}
TABLES = (
    ("Train", "From", "Departure", "Delay", "Day"),
    ("Part no.", "Part", "Stock", "Price CHF", "Last count"),
    ("Account", "Item", "Plan", "Deviation", "Booked"),
)


def filled(dice: Random, text: str, topic: str = "", part: str = "") -> str:
    """A sentence with its places filled."""
    s, s2 = dice.sample(STATIONS, 2)
    p, p2 = dice.sample(PERSONS, 2)
    return text.format(
        topic=topic, part=part, s=s, s2=s2, p=p, p2=p2, f=dice.choice(FIRMS), v=vehicle(dice), n=dice.randint(2, 58),
        t=clock(dice), d=day(dice), bar=f"{dice.uniform(3, 9):.1f}", kmh=5 * dice.randint(4, 32), mm=dice.randint(3, 40),
        mm2=dice.randint(41, 90), kn=dice.randint(90, 225), area=dice.randint(12, 950), pct=dice.randint(71, 99),
        chf=f"{dice.randint(2, 980)}'{dice.randint(100, 999)}", pn=dice.choice(sorted(PARTS.values()))[0], tel=EMERGENCY,
        url=INTRANET, iban=ACCOUNT,
    )  # fmt: skip


def vehicle(dice: Random) -> str:
    return f"{dice.choice(SERIES)}-{dice.randint(1, 24):03}"


def clock(dice: Random) -> str:
    return f"{dice.randint(4, 23):02}:{dice.randint(0, 59):02}"


def day(dice: Random) -> str:
    return f"{dice.randint(1, 28):02}.{dice.randint(1, 12):02}.{dice.randint(2024, 2027)}"


def said(dice: Random, folder: str, language: str) -> str:
    """One sentence of a folder's work."""
    topic = dice.choice(TOPICS[folder.rpartition("/")[2]][language])
    return filled(dice, dice.choice(SAYS[language]), topic)


def paragraph(dice: Random, folder: str, language: str) -> list[str]:
    """Sentences of a section, none twice."""
    topic = TOPICS[folder.rpartition("/")[2]][language]
    return [filled(dice, one, dice.choice(topic)) for one in dice.sample(SAYS[language], dice.randint(2, 6))]


def finding(dice: Random, language: str, part: str) -> str:
    return " ".join(filled(dice, one, part=part) for one in dice.sample(FINDINGS[language], dice.randint(2, 4)))


def titled(dice: Random, folder: str, language: str) -> str:
    """A title, with what makes it the only one."""
    topic = dice.choice(TOPICS[folder.rpartition("/")[2]][language])
    what = {
        "en": ("Instruction on {0}", "{0}: minutes of {1}", "Report on {0} at {2}", "Memo of {1} on {0}"),
        "de": ("Weisung: {0}", "{0}: Protokoll vom {1}", "Bericht über {0} in {2}", "Notiz von {1}: {0}"),
        "fr": ("Instruction: {0}", "{0}: procès-verbal du {1}", "Rapport sur {0} à {2}", "Note du {1}: {0}"),
    }[language]
    return dice.choice(what).format(topic, f"{dice.randint(1, 28)}.{dice.randint(1, 12)}.", dice.choice(STATIONS))


def grid(dice: Random) -> list[list[str]]:
    """A table with its header."""
    head = dice.choice(TABLES)
    return [list(head), *(grid_row(dice, head) for _ in range(dice.randint(3, 7)))]


def grid_row(dice: Random, head: tuple[str, ...]) -> list[str]:
    """One more line of a table with this header."""
    date = f"{dice.randint(2025, 2027)}-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}"
    if head[0] == "Train":
        late = dice.choice([-2, -1, 0, 1, 3, 7])
        return [f"R{dice.randint(100, 899)}", dice.choice(STATIONS), clock(dice), str(late), date]
    if head[0] == "Part no.":
        name = dice.choice(sorted(PARTS))
        return [
            PARTS[name][0],
            name,
            str(dice.randint(0, 260)),
            f"{PARTS[name][2] * dice.uniform(0.97, 1.03):.2f}",
            date,
        ]
    item = dice.choice(["Energy", "Wages", "Spare parts", "Track access", "Cleaning"])
    return [
        str(dice.randint(3000, 6999)),
        item,
        str(dice.randint(40, 900) * 100),
        str(dice.randint(-90, 90) * 10),
        date,
    ]
