from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("router", "0014_policy_cascade")]

    operations = [
        migrations.AddField(
            model_name="gatewayrequest",
            name="background_task",
            field=models.CharField(blank=True, choices=[("title", "title"), ("tags", "tags"), ("follow_ups", "follow ups"), ("search_queries", "search queries"), ("autocomplete", "autocomplete"), ("emoji", "emoji")], default="", help_text="What a chat client wanted on its own behalf; empty where a person may have asked.", max_length=20),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="routingdecision",
            name="reason",
            field=models.CharField(choices=[("cheapest_correct", "Lowest SCI among the models that answered the nearest prompt right"), ("cheapest_none_correct", "No model answered the nearest prompt right: the cheapest one"), ("category", "Best in the category at the price of SCI"), ("dial", "Best probability less the price of SCI"), ("fallback", "No cheaper model is shown to be as good here"), ("novel", "The prompt is of a kind that nobody has judged"), ("as_good", "Cheaper, and as good on the neighbours"), ("floor", "Cheapest whose probability reaches the floor"), ("below_floor", "No model reaches the floor: the most probable one"), ("fixed", "Always this model"), ("pinned", "The caller named the model"), ("budget", "The key's carbon budget is spent: the cheapest plausible model"), ("conversation", "The conversation stays on the model that it began with"), ("cascade", "Cheaper models are asked first, and their answers checked"), ("refused", "A cheaper model's answer was not good enough: the next larger one"), ("background", "A chat client sent it on its own: the cheapest capable model")], max_length=30),
        ),
    ]
