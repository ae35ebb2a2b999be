"""How steps are executed: facts, rules, measuring, and what carries a plan out."""
