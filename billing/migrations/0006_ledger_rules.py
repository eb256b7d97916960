"""What makes the ledger a ledger: written once, balances kept by the database, and never below zero."""

from django.db import migrations

RULES = """
CREATE FUNCTION billing_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is written once: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON billing_entry
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON billing_transfer
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON billing_account
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();

-- Only the trigger below changes an account, and only its balance.
CREATE FUNCTION billing_keep_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.balance <> 0 THEN
            RAISE EXCEPTION 'an account begins with 0 credits, not %', NEW.balance
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF (NEW.id, NEW.kind, NEW.workspace_id, NEW.expires_at)
              IS DISTINCT FROM (OLD.id, OLD.kind, OLD.workspace_id, OLD.expires_at)
        OR (NEW.balance <> OLD.balance AND pg_trigger_depth() < 2) THEN
        RAISE EXCEPTION 'an account is changed by transfers alone'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER changed_by_transfers BEFORE INSERT OR UPDATE ON billing_account
    FOR EACH ROW EXECUTE FUNCTION billing_keep_account();

-- The platform's accounts are summed up when somebody asks: kept here, each would be a row that every job waits for.
CREATE FUNCTION billing_carry_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing_account SET balance = balance - NEW.amount
        WHERE id = NEW.source_id AND workspace_id IS NOT NULL;
    UPDATE billing_account SET balance = balance + NEW.amount
        WHERE id = NEW.target_id AND workspace_id IS NOT NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER carried_out AFTER INSERT ON billing_transfer
    FOR EACH ROW EXECUTE FUNCTION billing_carry_out();
"""

NO_RULES = """
DROP TRIGGER carried_out ON billing_transfer;
DROP TRIGGER changed_by_transfers ON billing_account;
DROP TRIGGER never_deleted ON billing_account;
DROP TRIGGER written_once ON billing_transfer;
DROP TRIGGER written_once ON billing_entry;
DROP FUNCTION billing_carry_out();
DROP FUNCTION billing_keep_account();
DROP FUNCTION billing_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_money")]

    operations = [migrations.RunSQL(RULES, NO_RULES)]
