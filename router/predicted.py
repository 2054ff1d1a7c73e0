"""What requests were expected to cost, as the database sums it."""

from django.db.models import F
from django.db.models.functions import Coalesce

# of a request of a key (gCO2e), with the runs that a cascade discarded for it, which are all its own; null where nobody
# knew what the answer costs
PREDICTED_IN_ALL = F("decision__predicted_sci_gco2e") + Coalesce("decision__discarded_sci_gco2e", 0.0)
