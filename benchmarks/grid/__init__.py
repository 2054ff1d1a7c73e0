"""How much carbon a kilowatt hour costs: published tables of years, and services that tell the present."""
