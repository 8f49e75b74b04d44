-- Written by `make documents` from the migrations, for reading. Not run: `prequal migrate` makes the tables.

CREATE FUNCTION public.acts_has_the_time_of_the_database() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            NEW.occurred_at := clock_timestamp();
            RETURN NEW;
        END $$;

CREATE FUNCTION public.acts_is_kept_until_sealed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
            BEGIN
                IF OLD.id <= (SELECT acts_upto FROM public.record_seals ORDER BY block DESC LIMIT 1) THEN
                    RETURN OLD;
                END IF;
                RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
                    USING ERRCODE = 'insufficient_privilege';
            END $$;

CREATE FUNCTION public.application_list_changes_are_kept() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            IF TG_TABLE_NAME = 'applications' THEN
                INSERT INTO application_list_changes (application_id) SELECT id FROM changed;
            ELSE
                INSERT INTO application_list_changes (application_id) SELECT application_id FROM changed;
            END IF;
            RETURN NULL;
        END $$;

CREATE FUNCTION public.audit_log_is_kept_until_sealed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
            BEGIN
                IF OLD.id <= (SELECT audit_log_upto FROM public.record_seals ORDER BY block DESC LIMIT 1) THEN
                    RETURN OLD;
                END IF;
                RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
                    USING ERRCODE = 'insufficient_privilege';
            END $$;

CREATE FUNCTION public.is_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'insufficient_privilege';
        END $$;

CREATE FUNCTION public.policy_activations_has_the_time_of_the_database() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            NEW.activated_at := clock_timestamp();
            NEW.effective_from := greatest(NEW.effective_from, NEW.activated_at);
            RETURN NEW;
        END $$;

CREATE TABLE public.acts (
    id bigint NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor_kind text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject_kind text NOT NULL,
    subject text NOT NULL,
    details jsonb NOT NULL,
    CONSTRAINT acts_action_check CHECK (((char_length(action) >= 1) AND (char_length(action) <= 60))),
    CONSTRAINT acts_actor_check CHECK (((char_length(actor) >= 1) AND (char_length(actor) <= 100))),
    CONSTRAINT acts_actor_kind_check CHECK ((actor_kind = ANY (ARRAY['person'::text, 'operator'::text, 'client'::text, 'process'::text]))),
    CONSTRAINT acts_details_check CHECK ((jsonb_typeof(details) = 'object'::text)),
    CONSTRAINT acts_subject_check CHECK (((char_length(subject) >= 1) AND (char_length(subject) <= 200))),
    CONSTRAINT acts_subject_kind_check CHECK (((char_length(subject_kind) >= 1) AND (char_length(subject_kind) <= 40)))
);

ALTER TABLE public.acts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.acts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.api_client_secrets (
    client text NOT NULL COLLATE pg_catalog."C",
    slot smallint NOT NULL,
    secret_hmac bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    not_before timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    hash_key bytea,
    CONSTRAINT api_client_secrets_hash_key_check CHECK ((octet_length(hash_key) = 8)),
    CONSTRAINT api_client_secrets_secret_hmac_check CHECK ((octet_length(secret_hmac) = 32)),
    CONSTRAINT api_client_secrets_slot_check CHECK ((slot = ANY (ARRAY[1, 2])))
);

CREATE TABLE public.api_clients (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    scopes text[] NOT NULL,
    sandbox boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    requests_per_second integer DEFAULT 5000 NOT NULL,
    issuer text COLLATE pg_catalog."C",
    subject text COLLATE pg_catalog."C",
    CONSTRAINT api_clients_id_check CHECK (((octet_length(id) = 8) AND (id !~ '[^a-z0-9]'::text))),
    CONSTRAINT api_clients_identity_whole CHECK (((issuer IS NULL) = (subject IS NULL))),
    CONSTRAINT api_clients_issuer_check CHECK (((char_length(issuer) >= 1) AND (char_length(issuer) <= 500))),
    CONSTRAINT api_clients_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 100))),
    CONSTRAINT api_clients_requests_per_second_check CHECK (((requests_per_second >= 1) AND (requests_per_second <= 1000000))),
    CONSTRAINT api_clients_scopes_check CHECK (((cardinality(scopes) > 0) AND (scopes <@ ARRAY['applications:read'::text, 'applications:write'::text]))),
    CONSTRAINT api_clients_subject_check CHECK (((char_length(subject) >= 1) AND (char_length(subject) <= 255)))
);

CREATE TABLE public.application_list (
    id uuid NOT NULL,
    client text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    score_band smallint NOT NULL,
    pan_tail text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT application_list_pan_tail_check CHECK ((octet_length(pan_tail) = 5)),
    CONSTRAINT application_list_score_band_check CHECK ((score_band = ANY (ARRAY[0, 300, 550, 600, 650, 700, 750, 800]))),
    CONSTRAINT application_list_status_check CHECK ((status = ANY (ARRAY['PRE_APPROVED'::text, 'REJECTED'::text, 'MANUAL_REVIEW'::text])))
);

CREATE TABLE public.application_list_changes (
    application_id uuid NOT NULL,
    number bigint NOT NULL
);

ALTER TABLE public.application_list_changes ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.application_list_changes_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.application_list_range (
    present boolean DEFAULT true NOT NULL,
    lowest uuid NOT NULL,
    below uuid NOT NULL,
    CONSTRAINT application_list_range_check CHECK ((lowest <= below)),
    CONSTRAINT application_list_range_present_check CHECK (present)
)
WITH (fillfactor='50');

CREATE TABLE public.applications (
    id uuid NOT NULL,
    pan_number_encrypted bytea NOT NULL,
    pan_number_hash text NOT NULL COLLATE pg_catalog."C",
    pan_number_masked text NOT NULL,
    applicant_name text,
    monthly_income_inr numeric(12,2) NOT NULL,
    loan_amount_inr numeric(12,2) NOT NULL,
    loan_type text NOT NULL,
    status text DEFAULT 'PENDING'::text NOT NULL,
    cibil_score integer,
    decision_rule text,
    decision_measures jsonb,
    policy_version text,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    policy_hash bytea,
    client text DEFAULT 'local'::text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT applications_applicant_name_check CHECK (((char_length(applicant_name) >= 1) AND (char_length(applicant_name) <= 255))),
    CONSTRAINT applications_check CHECK ((updated_at >= created_at)),
    CONSTRAINT applications_cibil_score_check CHECK (((cibil_score >= 300) AND (cibil_score <= 900))),
    CONSTRAINT applications_loan_amount_inr_check CHECK (((loan_amount_inr > (0)::numeric) AND (loan_amount_inr <> 'NaN'::numeric))),
    CONSTRAINT applications_loan_type_check CHECK ((loan_type = ANY (ARRAY['PERSONAL'::text, 'HOME'::text, 'AUTO'::text]))),
    CONSTRAINT applications_monthly_income_inr_check CHECK (((monthly_income_inr > (0)::numeric) AND (monthly_income_inr <> 'NaN'::numeric))),
    CONSTRAINT applications_pan_number_encrypted_check CHECK (((octet_length(pan_number_encrypted) >= 40) AND (octet_length(pan_number_encrypted) <= 100))),
    CONSTRAINT applications_pan_number_hash_check CHECK (((octet_length(pan_number_hash) = 64) AND (pan_number_hash !~ '[^0-9a-f]'::text))),
    CONSTRAINT applications_pan_number_masked_check CHECK ((pan_number_masked ~ '^XXXXX[0-9]{4}[A-Z]$'::text)),
    CONSTRAINT applications_policy_hash_check CHECK ((octet_length(policy_hash) = 32)),
    CONSTRAINT applications_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'PRE_APPROVED'::text, 'REJECTED'::text, 'MANUAL_REVIEW'::text]))),
    CONSTRAINT applications_version_check CHECK ((version > 0)),
    CONSTRAINT decided_whole CHECK (
CASE status
    WHEN 'PENDING'::text THEN (num_nonnulls(cibil_score, decision_rule, decision_measures, policy_version, policy_hash) = 0)
    ELSE ((num_nulls(decision_rule, decision_measures, policy_version) = 0) AND ((cibil_score IS NOT NULL) OR (status = 'MANUAL_REVIEW'::text) OR (version > 2)))
END)
)
WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_vacuum_cost_delay='0', fillfactor='30');

CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    application_id uuid NOT NULL,
    service text NOT NULL,
    action text NOT NULL,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    request_id text,
    client text,
    CONSTRAINT audit_log_action_check CHECK ((action = ANY (ARRAY['WRITE'::text, 'READ'::text, 'UPDATE'::text]))),
    CONSTRAINT audit_log_service_check CHECK ((service <> ''::text))
);

ALTER TABLE public.audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.bureau_calls (
    day date NOT NULL,
    calls integer NOT NULL,
    CONSTRAINT bureau_calls_calls_check CHECK ((calls > 0))
);

CREATE TABLE public.bureau_reports (
    client text NOT NULL COLLATE pg_catalog."C",
    pan_number_hash text NOT NULL COLLATE pg_catalog."C",
    cibil_score integer,
    reported_at timestamp with time zone DEFAULT now() NOT NULL,
    challenge_draw integer,
    CONSTRAINT bureau_reports_challenge_draw_check CHECK (((challenge_draw >= 0) AND (challenge_draw <= 9999))),
    CONSTRAINT bureau_reports_cibil_score_check CHECK (((cibil_score >= 300) AND (cibil_score <= 900))),
    CONSTRAINT bureau_reports_pan_number_hash_check CHECK (((octet_length(pan_number_hash) = 64) AND (pan_number_hash !~ '[^0-9a-f]'::text)))
);

CREATE TABLE public.idempotency_keys (
    key_hmac bytea NOT NULL,
    request_hmac bytea NOT NULL,
    application_id uuid NOT NULL,
    request_id text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    hash_key bytea,
    CONSTRAINT idempotency_keys_hash_key_check CHECK ((octet_length(hash_key) = 8)),
    CONSTRAINT idempotency_keys_key_hmac_check CHECK ((octet_length(key_hmac) = 32)),
    CONSTRAINT idempotency_keys_request_hmac_check CHECK ((octet_length(request_hmac) = 32))
);

CREATE TABLE public.key_checks (
    purpose text NOT NULL,
    key_id bytea NOT NULL,
    check_value bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    retired_at timestamp with time zone,
    CONSTRAINT key_checks_purpose_check CHECK ((purpose = ANY (ARRAY['ENCRYPTION_KEY'::text, 'PAN_HASH_KEY'::text, 'REPORT_KEY'::text, 'SCORE_DRAW_KEY'::text, 'RECORD_KEY'::text, 'PEOPLE_KEY'::text])))
);

CREATE TABLE public.key_uses (
    key_id bytea NOT NULL,
    encryptions bigint NOT NULL,
    first_used timestamp with time zone DEFAULT now() NOT NULL,
    last_used timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT key_uses_encryptions_check CHECK ((encryptions >= 0)),
    CONSTRAINT key_uses_key_id_check CHECK ((octet_length(key_id) = 8))
);

CREATE TABLE public.outbox_archive (
    id bigint NOT NULL,
    topic text NOT NULL,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    application_id uuid NOT NULL,
    payload text NOT NULL,
    correlation_id text,
    traceparent text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    published_at timestamp with time zone DEFAULT now() NOT NULL,
    published_by text,
    CONSTRAINT outbox_archive_published_by_check CHECK ((published_by <> ''::text))
)
PARTITION BY RANGE (published_at);

CREATE TABLE public.outbox_events (
    id bigint NOT NULL,
    topic text NOT NULL COLLATE pg_catalog."C",
    attempts integer DEFAULT 0 NOT NULL,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    application_id uuid NOT NULL,
    payload text NOT NULL,
    correlation_id text,
    traceparent text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    republished boolean DEFAULT false NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_cost_delay='0', autovacuum_vacuum_insert_threshold='-1', autovacuum_analyze_threshold='1000000000');

ALTER TABLE public.outbox_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.outbox_parked (
    id bigint NOT NULL,
    topic text NOT NULL,
    attempts integer NOT NULL,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    application_id uuid NOT NULL,
    payload text NOT NULL,
    correlation_id text,
    traceparent text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    republished boolean DEFAULT false NOT NULL,
    reason text NOT NULL,
    parked_at timestamp with time zone DEFAULT now() NOT NULL,
    next_try_at timestamp with time zone NOT NULL,
    CONSTRAINT outbox_parked_attempts_check CHECK ((attempts > 0))
);

CREATE TABLE public.pan_claims (
    pan_number_hash text NOT NULL COLLATE pg_catalog."C",
    application_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    hash_key bytea,
    CONSTRAINT pan_claims_hash_key_check CHECK ((octet_length(hash_key) = 8)),
    CONSTRAINT pan_claims_pan_number_hash_check CHECK (((octet_length(pan_number_hash) = 64) AND (pan_number_hash !~ '[^0-9a-f]'::text)))
);

CREATE TABLE public.people (
    name text NOT NULL,
    roles text[] NOT NULL,
    password_hash text NOT NULL,
    totp_secret text,
    totp_last_step bigint DEFAULT 0 NOT NULL,
    failed_sign_ins integer DEFAULT 0 NOT NULL,
    locked_until timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    disabled_at timestamp with time zone,
    issuer text COLLATE pg_catalog."C",
    subject text COLLATE pg_catalog."C",
    CONSTRAINT people_failed_sign_ins_check CHECK ((failed_sign_ins >= 0)),
    CONSTRAINT people_identity_whole CHECK (((issuer IS NULL) = (subject IS NULL))),
    CONSTRAINT people_issuer_check CHECK (((char_length(issuer) >= 1) AND (char_length(issuer) <= 500))),
    CONSTRAINT people_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9._@-]{0,99}$'::text)),
    CONSTRAINT people_password_hash_check CHECK (starts_with(password_hash, '$argon2id$'::text)),
    CONSTRAINT people_roles_check CHECK ((((cardinality(roles) >= 1) AND (cardinality(roles) <= 6)) AND (roles <@ ARRAY['administrator'::text, 'risk_officer'::text, 'approver'::text, 'reviewer'::text, 'operator'::text, 'auditor'::text]))),
    CONSTRAINT people_subject_check CHECK (((char_length(subject) >= 1) AND (char_length(subject) <= 255))),
    CONSTRAINT people_totp_secret_check CHECK ((char_length(totp_secret) >= 32))
);

CREATE TABLE public.people_sessions (
    token_hash bytea NOT NULL,
    person text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    idle_until timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT people_sessions_token_hash_check CHECK ((octet_length(token_hash) = 32))
);

CREATE TABLE public.policy_activations (
    id bigint NOT NULL,
    version text NOT NULL,
    hash bytea NOT NULL,
    effective_from timestamp with time zone NOT NULL,
    activated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    activated_by_kind text NOT NULL,
    activated_by text NOT NULL,
    CONSTRAINT policy_activations_activated_by_check CHECK (((char_length(activated_by) >= 1) AND (char_length(activated_by) <= 100))),
    CONSTRAINT policy_activations_activated_by_kind_check CHECK ((activated_by_kind = ANY (ARRAY['person'::text, 'operator'::text, 'client'::text, 'process'::text])))
);

ALTER TABLE public.policy_activations ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.policy_activations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.policy_challenges (
    id bigint NOT NULL,
    version text,
    hash bytea,
    share_basis_points integer,
    activation_id bigint,
    begun_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    begun_by_kind text NOT NULL,
    begun_by text NOT NULL,
    CONSTRAINT policy_challenges_begun_by_check CHECK (((char_length(begun_by) >= 1) AND (char_length(begun_by) <= 100))),
    CONSTRAINT policy_challenges_begun_by_kind_check CHECK ((begun_by_kind = ANY (ARRAY['person'::text, 'operator'::text, 'client'::text, 'process'::text]))),
    CONSTRAINT policy_challenges_check CHECK ((num_nulls(version, hash, share_basis_points, activation_id) = ANY (ARRAY[0, 4]))),
    CONSTRAINT policy_challenges_share_basis_points_check CHECK (((share_basis_points >= 1) AND (share_basis_points <= 5000)))
);

ALTER TABLE public.policy_challenges ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.policy_challenges_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.policy_shadow_differences (
    application_id uuid NOT NULL,
    hash bytea NOT NULL,
    version text NOT NULL,
    live_version text NOT NULL,
    live_status text NOT NULL,
    live_reason text NOT NULL,
    shadow_status text NOT NULL,
    shadow_reason text NOT NULL,
    observed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT policy_shadow_differences_hash_check CHECK ((octet_length(hash) = 32))
);

CREATE TABLE public.policy_shadows (
    id bigint NOT NULL,
    version text,
    hash bytea,
    begun_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    begun_by_kind text NOT NULL,
    begun_by text NOT NULL,
    CONSTRAINT policy_shadows_begun_by_check CHECK (((char_length(begun_by) >= 1) AND (char_length(begun_by) <= 100))),
    CONSTRAINT policy_shadows_begun_by_kind_check CHECK ((begun_by_kind = ANY (ARRAY['person'::text, 'operator'::text, 'client'::text, 'process'::text]))),
    CONSTRAINT policy_shadows_check CHECK ((num_nulls(version, hash) = ANY (ARRAY[0, 2]))),
    CONSTRAINT policy_shadows_hash_check CHECK ((octet_length(hash) = 32))
);

ALTER TABLE public.policy_shadows ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.policy_shadows_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.policy_versions (
    version text NOT NULL,
    document text NOT NULL,
    hash bytea NOT NULL,
    authors text[] NOT NULL,
    proposed_by_kind text NOT NULL,
    proposed_by text NOT NULL,
    proposed_at timestamp with time zone DEFAULT now() NOT NULL,
    backtest_hash bytea,
    backtest_report jsonb,
    backtested_at timestamp with time zone,
    approved_hash bytea,
    approved_backtest_hash bytea,
    approved_by_kind text,
    approved_by text,
    approved_at timestamp with time zone,
    CONSTRAINT policy_versions_approved_backtest_hash_check CHECK ((octet_length(approved_backtest_hash) = 32)),
    CONSTRAINT policy_versions_approved_by_check CHECK (((char_length(approved_by) >= 1) AND (char_length(approved_by) <= 100))),
    CONSTRAINT policy_versions_approved_by_kind_check CHECK ((approved_by_kind = ANY (ARRAY['person'::text, 'operator'::text, 'client'::text, 'process'::text]))),
    CONSTRAINT policy_versions_approved_hash_check CHECK ((octet_length(approved_hash) = 32)),
    CONSTRAINT policy_versions_authors_check CHECK ((cardinality(authors) > 0)),
    CONSTRAINT policy_versions_backtest_hash_check CHECK ((octet_length(backtest_hash) = 32)),
    CONSTRAINT policy_versions_check CHECK ((num_nulls(backtest_hash, backtest_report, backtested_at) = ANY (ARRAY[0, 3]))),
    CONSTRAINT policy_versions_check1 CHECK ((num_nulls(approved_hash, approved_by_kind, approved_by, approved_at) = ANY (ARRAY[0, 4]))),
    CONSTRAINT policy_versions_document_check CHECK ((octet_length(document) <= 262144)),
    CONSTRAINT policy_versions_hash_check CHECK ((octet_length(hash) = 32)),
    CONSTRAINT policy_versions_proposed_by_check CHECK (((char_length(proposed_by) >= 1) AND (char_length(proposed_by) <= 100))),
    CONSTRAINT policy_versions_proposed_by_kind_check CHECK ((proposed_by_kind = ANY (ARRAY['person'::text, 'operator'::text, 'client'::text, 'process'::text]))),
    CONSTRAINT policy_versions_second_person CHECK (((approved_hash <> hash) OR (approved_by <> ALL (authors)))),
    CONSTRAINT policy_versions_version_check CHECK ((version ~ '^[a-z0-9][a-z0-9.-]{0,31}$'::text))
);

CREATE TABLE public.processed_messages (
    consumer text NOT NULL COLLATE pg_catalog."C",
    event_id uuid NOT NULL,
    digest bytea NOT NULL,
    processed_at timestamp with time zone DEFAULT now() NOT NULL,
    application_id uuid NOT NULL
)
WITH (autovacuum_vacuum_insert_threshold='-1');

CREATE TABLE public.publisher_leases (
    name text NOT NULL,
    owner uuid NOT NULL,
    epoch bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT publisher_leases_epoch_check CHECK ((epoch > 0))
)
WITH (fillfactor='50');

CREATE TABLE public.record_blocks (
    number bigint NOT NULL,
    chained_at timestamp with time zone NOT NULL,
    audit_log_upto bigint NOT NULL,
    acts_upto bigint NOT NULL,
    audit_log_entries bytea NOT NULL,
    acts_entries bytea NOT NULL,
    key_id bytea NOT NULL,
    mac bytea NOT NULL,
    CONSTRAINT record_blocks_acts_entries_check CHECK (((octet_length(acts_entries) % 24) = 0)),
    CONSTRAINT record_blocks_audit_log_entries_check CHECK (((octet_length(audit_log_entries) % 24) = 0)),
    CONSTRAINT record_blocks_key_id_check CHECK ((octet_length(key_id) = 8)),
    CONSTRAINT record_blocks_mac_check CHECK ((octet_length(mac) = 32)),
    CONSTRAINT record_blocks_number_check CHECK ((number > 0))
);
ALTER TABLE ONLY public.record_blocks ALTER COLUMN audit_log_entries SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.record_blocks ALTER COLUMN acts_entries SET STORAGE EXTERNAL;

CREATE TABLE public.record_seals (
    block bigint NOT NULL,
    chained_at timestamp with time zone NOT NULL,
    audit_log_upto bigint NOT NULL,
    acts_upto bigint NOT NULL,
    block_mac bytea NOT NULL,
    sealed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    key_id bytea NOT NULL,
    mac bytea NOT NULL,
    CONSTRAINT record_seals_block_check CHECK ((block > 0)),
    CONSTRAINT record_seals_block_mac_check CHECK ((octet_length(block_mac) = 32)),
    CONSTRAINT record_seals_key_id_check CHECK ((octet_length(key_id) = 8)),
    CONSTRAINT record_seals_mac_check CHECK ((octet_length(mac) = 32))
);

CREATE TABLE public.republications (
    application_id uuid NOT NULL,
    times integer NOT NULL,
    next_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT republications_check CHECK ((next_at >= last_at)),
    CONSTRAINT republications_times_check CHECK ((times > 0))
);

CREATE TABLE public.resolved_dead_letters (
    id bigint NOT NULL,
    topic text NOT NULL COLLATE pg_catalog."C",
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    written_at timestamp with time zone NOT NULL,
    action text NOT NULL,
    event_id text,
    error_kind text NOT NULL,
    reason text,
    resolved_by text NOT NULL,
    resolved_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT discarded_for_a_reason CHECK (((action = 'replayed'::text) OR (COALESCE(reason, ''::text) ~ '[^[:space:]]'::text))),
    CONSTRAINT resolved_dead_letters_action_check CHECK ((action = ANY (ARRAY['replayed'::text, 'discarded'::text, 'skipped'::text]))),
    CONSTRAINT resolved_dead_letters_error_kind_check CHECK ((error_kind <> ''::text)),
    CONSTRAINT resolved_dead_letters_event_id_check CHECK ((event_id <> ''::text)),
    CONSTRAINT resolved_dead_letters_offset_check CHECK (("offset" >= 0)),
    CONSTRAINT resolved_dead_letters_partition_check CHECK ((partition >= 0)),
    CONSTRAINT resolved_dead_letters_reason_check CHECK ((char_length(reason) <= 500)),
    CONSTRAINT resolved_dead_letters_resolved_by_check CHECK ((resolved_by <> ''::text))
);

ALTER TABLE public.resolved_dead_letters ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.resolved_dead_letters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.reused_reports (
    application_id uuid NOT NULL,
    age_seconds integer NOT NULL,
    CONSTRAINT reused_reports_age_seconds_check CHECK ((age_seconds >= 0))
);

CREATE TABLE public.review_cases (
    application_id uuid NOT NULL,
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    target_at timestamp with time zone NOT NULL,
    loan_amount_inr numeric(12,2) NOT NULL,
    people_needed smallint NOT NULL,
    state text DEFAULT 'OPEN'::text NOT NULL,
    claimed_by text,
    lease_until timestamp with time zone,
    version integer DEFAULT 1 NOT NULL,
    outcome text,
    reason text,
    decided_at timestamp with time zone,
    decision_published boolean DEFAULT false NOT NULL,
    CONSTRAINT review_cases_check CHECK (((claimed_by IS NULL) = (lease_until IS NULL))),
    CONSTRAINT review_cases_check1 CHECK ((num_nonnulls(outcome, reason, decided_at) =
CASE state
    WHEN 'DECIDED'::text THEN 3
    ELSE 0
END)),
    CONSTRAINT review_cases_check2 CHECK (((state <> 'DECIDED'::text) OR (claimed_by IS NULL))),
    CONSTRAINT review_cases_outcome_check CHECK ((outcome = ANY (ARRAY['PRE_APPROVED'::text, 'REJECTED'::text]))),
    CONSTRAINT review_cases_people_needed_check CHECK ((people_needed = ANY (ARRAY[1, 2]))),
    CONSTRAINT review_cases_state_check CHECK ((state = ANY (ARRAY['OPEN'::text, 'SECOND_PERSON'::text, 'DECIDED'::text]))),
    CONSTRAINT review_cases_version_check CHECK ((version > 0))
);

CREATE TABLE public.review_notes (
    id bigint NOT NULL,
    application_id uuid NOT NULL,
    written_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    writer_kind text NOT NULL,
    writer text NOT NULL,
    note text NOT NULL,
    CONSTRAINT review_notes_note_check CHECK (((char_length(note) >= 1) AND (char_length(note) <= 2000))),
    CONSTRAINT review_notes_writer_check CHECK (((char_length(writer) >= 1) AND (char_length(writer) <= 100))),
    CONSTRAINT review_notes_writer_kind_check CHECK ((writer_kind = ANY (ARRAY['person'::text, 'operator'::text])))
);

ALTER TABLE public.review_notes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.review_notes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.review_votes (
    application_id uuid NOT NULL,
    voter text NOT NULL,
    voter_kind text NOT NULL,
    voted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    CONSTRAINT review_votes_outcome_check CHECK ((outcome = ANY (ARRAY['PRE_APPROVED'::text, 'REJECTED'::text]))),
    CONSTRAINT review_votes_voter_check CHECK (((char_length(voter) >= 1) AND (char_length(voter) <= 100))),
    CONSTRAINT review_votes_voter_kind_check CHECK ((voter_kind = ANY (ARRAY['person'::text, 'operator'::text])))
);

CREATE TABLE public.undecided_below_mark (
    application_id uuid NOT NULL
);

CREATE TABLE public.undecided_mark (
    present boolean DEFAULT true NOT NULL,
    passed uuid NOT NULL,
    CONSTRAINT undecided_mark_present_check CHECK (present)
)
WITH (fillfactor='50');

ALTER TABLE ONLY public.acts
    ADD CONSTRAINT acts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.api_client_secrets
    ADD CONSTRAINT api_client_secrets_pkey PRIMARY KEY (client, slot);

ALTER TABLE ONLY public.api_clients
    ADD CONSTRAINT api_clients_name_key UNIQUE (name);

ALTER TABLE ONLY public.api_clients
    ADD CONSTRAINT api_clients_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.application_list_changes
    ADD CONSTRAINT application_list_changes_pkey PRIMARY KEY (application_id, number);

ALTER TABLE ONLY public.application_list
    ADD CONSTRAINT application_list_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.application_list_range
    ADD CONSTRAINT application_list_range_pkey PRIMARY KEY (present);

ALTER TABLE ONLY public.applications
    ADD CONSTRAINT applications_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.bureau_calls
    ADD CONSTRAINT bureau_calls_pkey PRIMARY KEY (day);

ALTER TABLE ONLY public.bureau_reports
    ADD CONSTRAINT bureau_reports_pkey PRIMARY KEY (client, pan_number_hash);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key_hmac);

ALTER TABLE ONLY public.key_checks
    ADD CONSTRAINT key_checks_pkey PRIMARY KEY (purpose, key_id);

ALTER TABLE ONLY public.key_uses
    ADD CONSTRAINT key_uses_pkey PRIMARY KEY (key_id);

ALTER TABLE ONLY public.outbox_events
    ADD CONSTRAINT outbox_events_pkey PRIMARY KEY (topic, id);

ALTER TABLE ONLY public.outbox_parked
    ADD CONSTRAINT outbox_parked_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.pan_claims
    ADD CONSTRAINT pan_claims_pkey PRIMARY KEY (pan_number_hash);

ALTER TABLE ONLY public.people
    ADD CONSTRAINT people_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.people_sessions
    ADD CONSTRAINT people_sessions_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.policy_activations
    ADD CONSTRAINT policy_activations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.policy_challenges
    ADD CONSTRAINT policy_challenges_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.policy_shadow_differences
    ADD CONSTRAINT policy_shadow_differences_pkey PRIMARY KEY (hash, application_id);

ALTER TABLE ONLY public.policy_shadows
    ADD CONSTRAINT policy_shadows_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.policy_versions
    ADD CONSTRAINT policy_versions_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.policy_versions
    ADD CONSTRAINT policy_versions_version_hash_key UNIQUE (version, hash);

ALTER TABLE ONLY public.processed_messages
    ADD CONSTRAINT processed_messages_pkey PRIMARY KEY (consumer, application_id);

ALTER TABLE ONLY public.publisher_leases
    ADD CONSTRAINT publisher_leases_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.record_blocks
    ADD CONSTRAINT record_blocks_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.record_seals
    ADD CONSTRAINT record_seals_pkey PRIMARY KEY (block);

ALTER TABLE ONLY public.republications
    ADD CONSTRAINT republications_pkey PRIMARY KEY (application_id);

ALTER TABLE ONLY public.resolved_dead_letters
    ADD CONSTRAINT resolved_dead_letters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reused_reports
    ADD CONSTRAINT reused_reports_pkey PRIMARY KEY (application_id);

ALTER TABLE ONLY public.review_cases
    ADD CONSTRAINT review_cases_pkey PRIMARY KEY (application_id);

ALTER TABLE ONLY public.review_notes
    ADD CONSTRAINT review_notes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.review_votes
    ADD CONSTRAINT review_votes_pkey PRIMARY KEY (application_id, voter);

ALTER TABLE ONLY public.undecided_below_mark
    ADD CONSTRAINT undecided_below_mark_pkey PRIMARY KEY (application_id);

ALTER TABLE ONLY public.undecided_mark
    ADD CONSTRAINT undecided_mark_pkey PRIMARY KEY (present);

CREATE INDEX acts_subject ON public.acts USING btree (subject_kind, subject, id);

CREATE UNIQUE INDEX api_clients_identity_key ON public.api_clients USING btree (issuer, subject) WHERE (revoked_at IS NULL);

CREATE INDEX application_list_client ON public.application_list USING btree (client, status, score_band, id);

CREATE INDEX application_list_pan_tail ON public.application_list USING btree (pan_tail, id);

CREATE INDEX application_list_status ON public.application_list USING btree (status, score_band, id);

CREATE INDEX audit_log_application ON public.audit_log USING btree (application_id);

CREATE INDEX idempotency_keys_age ON public.idempotency_keys USING brin (expires_at);

CREATE INDEX outbox_archive_application ON ONLY public.outbox_archive USING btree (application_id);

CREATE INDEX outbox_archive_request ON ONLY public.outbox_archive USING btree (correlation_id) WHERE (event_type = 'ApplicationSubmitted'::text);

CREATE INDEX outbox_parked_due ON public.outbox_parked USING btree (next_try_at);

CREATE INDEX pan_claims_age ON public.pan_claims USING brin (expires_at);

CREATE UNIQUE INDEX people_identity_key ON public.people USING btree (issuer, subject) WHERE (disabled_at IS NULL);

CREATE INDEX people_sessions_person ON public.people_sessions USING btree (person);

CREATE INDEX policy_activations_effective ON public.policy_activations USING btree (effective_from, id);

CREATE INDEX policy_activations_version ON public.policy_activations USING btree (version);

CREATE INDEX policy_challenges_version ON public.policy_challenges USING btree (version);

CREATE INDEX processed_messages_age ON public.processed_messages USING brin (processed_at);

CREATE INDEX republications_due ON public.republications USING btree (next_at);

CREATE INDEX resolved_dead_letters_place ON public.resolved_dead_letters USING btree (topic, partition, "offset", id);

CREATE INDEX review_cases_loan_amount_inr ON public.review_cases USING btree (loan_amount_inr, application_id) WHERE (outcome IS NULL);

CREATE INDEX review_cases_target_at ON public.review_cases USING btree (target_at, application_id) WHERE (outcome IS NULL);

CREATE INDEX review_notes_application ON public.review_notes USING btree (application_id, id);

CREATE TRIGGER acts_has_the_time_of_the_database BEFORE INSERT ON public.acts FOR EACH ROW EXECUTE FUNCTION public.acts_has_the_time_of_the_database();

ALTER TABLE public.acts ENABLE ALWAYS TRIGGER acts_has_the_time_of_the_database;

CREATE TRIGGER acts_is_append_only BEFORE UPDATE OR TRUNCATE ON public.acts FOR EACH STATEMENT EXECUTE FUNCTION public.is_append_only();

ALTER TABLE public.acts ENABLE ALWAYS TRIGGER acts_is_append_only;

CREATE TRIGGER acts_is_kept_until_sealed BEFORE DELETE ON public.acts FOR EACH ROW EXECUTE FUNCTION public.acts_is_kept_until_sealed();

ALTER TABLE public.acts ENABLE ALWAYS TRIGGER acts_is_kept_until_sealed;

CREATE TRIGGER acts_rows_are_append_only BEFORE UPDATE ON public.acts FOR EACH ROW EXECUTE FUNCTION public.is_append_only();

ALTER TABLE public.acts ENABLE ALWAYS TRIGGER acts_rows_are_append_only;

CREATE TRIGGER applications_changes_the_list AFTER DELETE ON public.applications REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.application_list_changes_are_kept();

CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR TRUNCATE ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION public.is_append_only();

ALTER TABLE public.audit_log ENABLE ALWAYS TRIGGER audit_log_is_append_only;

CREATE TRIGGER audit_log_is_kept_until_sealed BEFORE DELETE ON public.audit_log FOR EACH ROW EXECUTE FUNCTION public.audit_log_is_kept_until_sealed();

ALTER TABLE public.audit_log ENABLE ALWAYS TRIGGER audit_log_is_kept_until_sealed;

CREATE TRIGGER audit_log_rows_are_append_only BEFORE UPDATE ON public.audit_log FOR EACH ROW EXECUTE FUNCTION public.is_append_only();

ALTER TABLE public.audit_log ENABLE ALWAYS TRIGGER audit_log_rows_are_append_only;

CREATE TRIGGER policy_activations_has_the_time_of_the_database BEFORE INSERT ON public.policy_activations FOR EACH ROW EXECUTE FUNCTION public.policy_activations_has_the_time_of_the_database();

ALTER TABLE public.policy_activations ENABLE ALWAYS TRIGGER policy_activations_has_the_time_of_the_database;

CREATE TRIGGER policy_activations_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.policy_activations FOR EACH STATEMENT EXECUTE FUNCTION public.is_append_only();

ALTER TABLE public.policy_activations ENABLE ALWAYS TRIGGER policy_activations_is_append_only;

CREATE TRIGGER policy_challenges_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.policy_challenges FOR EACH STATEMENT EXECUTE FUNCTION public.is_append_only();

ALTER TABLE public.policy_challenges ENABLE ALWAYS TRIGGER policy_challenges_is_append_only;

CREATE TRIGGER review_cases_changes_the_list AFTER UPDATE ON public.review_cases REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.application_list_changes_are_kept();

CREATE TRIGGER review_notes_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.review_notes FOR EACH STATEMENT EXECUTE FUNCTION public.is_append_only();

ALTER TABLE public.review_notes ENABLE ALWAYS TRIGGER review_notes_is_append_only;

CREATE TRIGGER review_votes_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.review_votes FOR EACH STATEMENT EXECUTE FUNCTION public.is_append_only();

ALTER TABLE public.review_votes ENABLE ALWAYS TRIGGER review_votes_is_append_only;

CREATE TRIGGER undecided_below_mark_changes_the_list AFTER DELETE ON public.undecided_below_mark REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.application_list_changes_are_kept();

ALTER TABLE ONLY public.api_client_secrets
    ADD CONSTRAINT api_client_secrets_client_fkey FOREIGN KEY (client) REFERENCES public.api_clients(id);

ALTER TABLE ONLY public.people_sessions
    ADD CONSTRAINT people_sessions_person_fkey FOREIGN KEY (person) REFERENCES public.people(name);

ALTER TABLE ONLY public.policy_activations
    ADD CONSTRAINT policy_activations_version_hash_fkey FOREIGN KEY (version, hash) REFERENCES public.policy_versions(version, hash);

ALTER TABLE ONLY public.policy_challenges
    ADD CONSTRAINT policy_challenges_activation_id_fkey FOREIGN KEY (activation_id) REFERENCES public.policy_activations(id);

ALTER TABLE ONLY public.policy_challenges
    ADD CONSTRAINT policy_challenges_version_hash_fkey FOREIGN KEY (version, hash) REFERENCES public.policy_versions(version, hash);

ALTER TABLE ONLY public.policy_shadows
    ADD CONSTRAINT policy_shadows_version_fkey FOREIGN KEY (version) REFERENCES public.policy_versions(version);

ALTER TABLE ONLY public.review_notes
    ADD CONSTRAINT review_notes_application_id_fkey FOREIGN KEY (application_id) REFERENCES public.review_cases(application_id);

ALTER TABLE ONLY public.review_votes
    ADD CONSTRAINT review_votes_application_id_fkey FOREIGN KEY (application_id) REFERENCES public.review_cases(application_id);
