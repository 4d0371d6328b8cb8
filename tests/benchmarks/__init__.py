"""Scripts that print ratios, each measured within one run; each says at its top how to call it."""
