app_name = "comparing"
urlpatterns: list[object] = []
