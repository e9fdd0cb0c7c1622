"""Words after which a number is somebody's telephone."""

import re

CALL = ["phone", "telephone", "tel", "mobile", "cell", "cellphone", "call", "fax", "hotline", "whatsapp", "sms"]
CALL += ["telefon", "handy", "mobil", "rufnummer", "téléphone", "telephone", "portable", "teléfono", "móvil"]
CALL += ["telefono", "cellulare", "telefoon", "mobiel", "telefax", "komórka"]
CALLING = re.compile(rf"\b(?:{'|'.join(CALL)})\b", re.IGNORECASE)
