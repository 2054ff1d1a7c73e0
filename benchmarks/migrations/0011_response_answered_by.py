from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('benchmarks', '0010_server_router'),
    ]

    operations = [
        migrations.AddField(
            model_name='response',
            name='answered_by',
            field=models.CharField(blank=True, help_text="Of a router's answer: the model that the router chose.", max_length=200),
        ),
        migrations.AddField(
            model_name='response',
            name='gateway_request_public_id',
            field=models.CharField(blank=True, help_text="Of a router's answer: the id of the request there.", max_length=40),
        ),
    ]
