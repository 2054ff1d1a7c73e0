from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from greenllm.models import User

admin.site.site_header = "GreenLLM administration"
admin.site.site_title = "GreenLLM"
admin.site.register(User, UserAdmin)
