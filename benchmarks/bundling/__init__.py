"""Study bundles: one archive that carries a study from the machine that measured it to another installation."""
