"""Who may read what: policies, and the rules that give them."""
