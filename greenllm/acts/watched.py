"""Which tables are watched, and what of their rows is kept: nothing secret, no text of a prompt, no name of a person.

Pure. A migration made triggers of it; a change takes another one (`triggers` gives its SQL).
"""

from collections.abc import Iterable, Iterator

# table: what a row of it is called, and the columns that are told
WATCHED: dict[str, tuple[str, str]] = {
    "greenllm_user": ("person", "is_active is_staff is_superuser"),
    "greenllm_user_groups": ("role of a person", "user_id group_id"),
    "greenllm_user_user_permissions": ("permission of a person", "user_id permission_id"),
    "mfa_authenticator": ("second factor", "user_id type"),
    "auth_group": ("group", "name"),
    "auth_group_permissions": ("permission of a group", "group_id permission_id"),
    "router_apikey": (
        "API key",
        "owner_id name revoked_at policy sci_price accuracy_floor is_cache_allowed is_keeping_agreed "
        "budget_gco2e_per_hour scopes allowed_models requests_per_minute tokens_per_minute soft_gco2e_per_day "
        "hard_gco2e_per_day soft_gco2e_per_month hard_gco2e_per_month",
    ),
    "router_policyversion": (
        "policy version",
        "policy neighbour_count sci_price fallback_id caution tolerance novelty accuracy_floor estimator is_open "
        "most_sci_price least_accuracy_floor is_intensity_live prompts_per_load",
    ),
    "router_evaluation": ("evaluation", "kind outcomes"),
    "benchmarks_machine": (
        "machine",
        "name zone total_embodied_emissions_gco2e expected_lifespan_s resource_share idle_power_w",
    ),
    "benchmarks_carbonintensity": ("carbon intensity", "zone gco2e_per_kwh kind source year valid_from"),
    "benchmarks_intensityfeed": ("live carbon intensity", "zone provider"),
    "benchmarks_inferenceserver": ("inference server", "name kind base_url machine_id api_key_variable is_router"),
    "benchmarks_languagemodel": ("language model", "name digest purpose"),
    "benchmarks_deployment": ("deployment", "language_model_id server_id state"),
    "benchmarks_modelevaluation": ("evaluation of a model", "deployment_id step"),
    "benchmarks_category": ("category", "name"),
    "benchmarks_dataset": ("dataset", "name"),
    "benchmarks_study": ("study", "name kind state"),
    "benchmarks_prompt": ("prompt", "category_id role"),
    "labeling_judgementrule": ("rule of judgement", "category_id judgements share max_readers evidence grades_count"),
    "labeling_goldanswer": ("gold answer", "response_id verdict retired_at"),
    "labeling_flag": ("flag", "response_id resolution"),
    "labeling_correction": ("correction of labels", "annotator_id guideline_id study_id category_id undone_at"),
    "labeling_guideline": ("guideline", "category_id version"),
}
# what later migrations watch
LATER = {"mfa_authenticator"}
# an import brings very many at once, and is told by what it makes: only what becomes of a row later is told
_NOT_WHEN_ADDED = {"benchmarks_prompt"}


def name_of(table: str) -> str:
    """Return what a row of a table is called."""
    return WATCHED[table][0] if table in WATCHED else table


def triggers(tables: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the SQL that watches each of some tables, and the SQL that ends it."""
    for table in tables:
        columns = WATCHED[table][1]
        when = "UPDATE OR DELETE" if table in _NOT_WHEN_ADDED else "INSERT OR UPDATE OR DELETE"
        told = ", ".join(f"'{column}'" for column in columns.split())
        yield (
            f"CREATE TRIGGER greenllm_act AFTER {when} ON {table} FOR EACH ROW "
            f"WHEN (current_setting('greenllm.actor', true) <> '') EXECUTE FUNCTION greenllm_note_act({told})",
            f"DROP TRIGGER greenllm_act ON {table}",
        )
