UNSEEN: dict[str, str] = {}
