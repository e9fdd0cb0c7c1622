"""Access policies, and the rules that derive them."""
