"""URLs of the labeling pages, below /label/."""

from django.urls import path

from labeling import corrections, exchange, flags, gold, guidelines, history, preferences, rules, views

app_name = "labeling"
urlpatterns = [
    path("", views.next_answer, name="next"),
    path("vote/", views.vote, name="vote"),
    path("skip/", views.skip, name="skip"),
    path("undo/", views.undo, name="undo"),
    path("renew/", views.renew, name="renew"),
    path("recall/", views.recall, name="recall"),
    path("flag/", views.flag, name="flag"),
    path("evidence/", views.evidence, name="evidence"),
    path("comment/<int:label_id>/", views.comment, name="comment"),
    path("keys/", preferences.keys, name="keys"),
    path("keys/switch/", preferences.switch, name="switch-keys"),
    path("guidelines/", guidelines.versions, name="guidelines"),
    path("flags/", flags.all_flags, name="flags"),
    path("flags/<int:flag_id>/resolve/", flags.resolve, name="resolve-flag"),
    path("rules/", rules.rules, name="rules"),
    path("rules/graders/", rules.switch, name="switch-graders"),
    path("verdict-rule/", rules.verdict_rule, name="verdict-rule"),
    path("gold/", gold.gold_answers, name="gold"),
    path("gold/<int:gold_id>/retire/", gold.retire, name="retire-gold"),
    path("corrections/", corrections.corrections, name="corrections"),
    path("corrections/<int:correction_id>/", corrections.correction, name="correction"),
    path("corrections/<int:correction_id>/undo/", corrections.undo, name="undo-correction"),
    path("exchange/", exchange.exchange, name="exchange"),
    path("exchange/download/", exchange.download, name="download-labels"),
    path("exchange/label-studio-config.xml", exchange.label_config, name="label-config"),
    path("history/", history.own_labels, name="history"),
    path("history/<int:label_id>/change/", history.change, name="change"),
    path("history/<int:label_id>/take-back/", history.withdraw, name="take-back"),
]
