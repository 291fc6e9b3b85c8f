/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The transition table of the cycle: what each event does, and to what it leads. */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cycle.h"
#include "names.h"

#define START UINT64_C(1000000)
#define SECOND UINT64_C(1000000)

/*
 * A way through the cycle, one word an event; a digit is an app's.
 *   P:ro  Prepare with a required and an optional app    s   the sync is done
 *   P+: Pr: Pr+:  after the configuration changed; as a rehearsal; both
 *   F Fs  Freeze, the latter after scripts               C   Commit
 *   o f k l a g  the app is ok, failed, skipped, lost, aborted, gone
 *   T x   Thaw, and its connection ends                  X   the owner's ends
 *   R U Z E  Release, supersede, terminate, Reset        t   the next deadline passes
 *   M m   a marker is found, cannot be written
 */
static const struct {
    const char *way;
    enum cycle_state state;
    const char *actions;        /* of the last event */
} table[] = {
    /* the way of a cycle */
    {"P:r", CYCLE_PREPARING, "sync prepare0"},
    {"P:r s", CYCLE_PREPARING, ""},
    {"P:r o0", CYCLE_PREPARING, ""},
    {"P:r s o0", CYCLE_PREPARED, "prepared"},
    {"P:r o0 s", CYCLE_PREPARED, "prepared"},
    {"P:", CYCLE_PREPARING, "sync"},
    {"P: s", CYCLE_PREPARED, "prepared"},
    {"P: s F", CYCLE_FROZEN, "mark frozen"},
    {"P:r s o0 Fs", CYCLE_SYNCING, "sync"},
    {"P:r s o0 Fs s", CYCLE_FREEZING, "mark freeze0"},
    {"P:rr s o0 o1 F", CYCLE_FREEZING, "mark freeze0 freeze1"},
    {"P:rr s o0 o1 F o1", CYCLE_FREEZING, ""},
    {"P:rr s o0 o1 F o1 o0", CYCLE_CHECKING, "check0 check1"},
    {"P:rr s o0 o1 F o1 o0 o0", CYCLE_CHECKING, ""},
    {"P:rr s o0 o1 F o1 o0 o0 o1", CYCLE_FROZEN, "frozen"},
    {"P:r s o0 F o0 o0 C", CYCLE_HELD, "committed"},
    {"P:r s o0 F o0 o0 C T", CYCLE_THAWING, "thaw0"},
    {"P:r s o0 F o0 o0 C T o0", CYCLE_IDLE, "dismiss0 unmark thawed+ end"},

    /* a required app fails: the others let go before the answer */
    {"P:rr f0", CYCLE_UNDOING, "abort0 drop-sync abort1 failing"},
    {"P:rr s g0", CYCLE_UNDOING, "dismiss0 abort1 failing"},
    {"P:rr s g0 a1", CYCLE_IDLE, "dismiss1 unmark failed end"},
    {"P:r s g0", CYCLE_IDLE, "dismiss0 failing unmark failed end"},
    {"P:rr s o0 o1 F o0 f1", CYCLE_UNDOING, "abort1 abort0 failing"},
    {"P:rr s o0 o1 F o0 f1 a0", CYCLE_UNDOING, "dismiss0"},
    {"P:rr s o0 o1 F o0 f1 a0 a1", CYCLE_IDLE, "dismiss1 unmark failed end"},
    {"P:r s o0 F o0 f0", CYCLE_UNDOING, "abort0 failing"},
    {"P:r s o0 l0", CYCLE_FAILED, "dismiss0 failing unmark"},
    {"P:r s o0 F o0 o0 l0", CYCLE_FAILED, "dismiss0 failing unmark"},
    {"P:r s o0 F o0 o0 l0 C", CYCLE_IDLE, "failed end"},
    {"P:r s o0 F o0 o0 l0 X", CYCLE_IDLE, "end"},
    {"P:rr s o0 o1 F o0 o1 o0 o1 g0 C", CYCLE_UNDOING, ""},
    {"P:rr s o0 o1 F o0 o1 o0 o1 g0 C a1", CYCLE_IDLE, "dismiss1 unmark failed end"},

    /* an optional app does not stop the others */
    {"P:ro s o0 f1", CYCLE_PREPARED, "abort1 prepared"},
    {"P:ro s o0 o1 F o0", CYCLE_FREEZING, ""},
    {"P:ro s o0 o1 F o0 f1", CYCLE_CHECKING, "abort1 check0"},
    {"P:ro s o0 o1 F o0 t", CYCLE_CHECKING, "abort1 check0"},
    {"P:ro s o0 o1 F o0 o1 o0 f1", CYCLE_FROZEN, "abort1 frozen"},
    {"P:ro s o0 o1 F o0 o1 o0 o1 l1", CYCLE_FROZEN, "dismiss1"},
    {"P:ro s o0 o1 F o0 o1 o0 o1 C l1 T o0", CYCLE_IDLE, "dismiss0 unmark thawed+ end"},

    /* one that does not run is left out */
    {"P:r s k0", CYCLE_PREPARED, "abort0 prepared"},
    {"P:r s k0 a0 F", CYCLE_FROZEN, "mark frozen"},
    {"P:r s k0 a0 F C T", CYCLE_IDLE, "unmark thawed+ end"},

    /* lateness: a worker is killed, then given up */
    {"P:r s t", CYCLE_UNDOING, "kill0 failing"},
    {"P:r s t t", CYCLE_IDLE, "give-up0 unmark failed end"},
    {"P:r s t g0", CYCLE_IDLE, "dismiss0 unmark failed end"},
    {"P:r o0 t", CYCLE_PREPARED, "drop-sync prepared"},
    {"P:r s o0 t", CYCLE_UNDOING, "abort0 failing"},
    {"P:r s o0 F t", CYCLE_UNDOING, "kill0 failing"},
    {"P:rr s o0 o1 F o0 f1 t", CYCLE_UNDOING, "kill0 kill1"},
    {"P:r s o0 F o0 o0 t", CYCLE_UNDOING, "abort0 failing"},

    /* the owner ends before Commit: nobody waits for an answer */
    {"P:r X", CYCLE_UNDOING, "drop-sync abort0 failing"},
    {"P:r X a0", CYCLE_IDLE, "dismiss0 unmark end"},
    {"P:r s o0 F o0 o0 X", CYCLE_UNDOING, "abort0 failing"},
    {"P:r s o0 F o0 o0 X a0", CYCLE_IDLE, "dismiss0 unmark end"},

    /* a hold that is lost changes nothing else */
    {"P:rr s o0 o1 F o0 o1 o0 o1 C l0", CYCLE_HELD, "dismiss0"},
    {"P:rr s o0 o1 F o0 o1 o0 o1 C g0 T", CYCLE_THAWING, "thaw1"},
    {"P:rr s o0 o1 F o0 o1 o0 o1 C g0 T o1", CYCLE_IDLE, "dismiss1 unmark thawed- end"},
    {"P:r s o0 F o0 o0 C T f0", CYCLE_IDLE, "dismiss0 unmark thawed- end"},
    {"P:r s o0 F o0 o0 C T t", CYCLE_THAWING, "kill0"},
    {"P:r s o0 F o0 o0 C T t g0", CYCLE_IDLE, "dismiss0 unmark thawed- end"},

    /* holds that end before the thaw, which tells of it */
    {"P:r s o0 F o0 o0 C t", CYCLE_HELD, "abort0 ended"},
    {"P:r s o0 F o0 o0 C t a0 T", CYCLE_IDLE, "unmark thawed- end"},
    {"P:r s o0 F o0 o0 C t T", CYCLE_THAWING, ""},
    {"P:r s o0 F o0 o0 C t T a0", CYCLE_IDLE, "dismiss0 unmark thawed- end"},
    {"P:r s o0 F o0 o0 C R", CYCLE_HELD, "abort0 ended"},
    {"P:r s o0 F o0 o0 C R R", CYCLE_HELD, ""},
    {"P:r s o0 F o0 o0 C Z", CYCLE_HELD, "abort0 ended"},
    {"P:r s o0 F o0 o0 R", CYCLE_UNDOING, "abort0 failing"},
    {"P:r s o0 F R a0", CYCLE_IDLE, "dismiss0 unmark failed end"},
    {"R", CYCLE_IDLE, ""},

    /* a newer freeze ends an older cycle */
    {"P:r s o0 F o0 o0 C U", CYCLE_UNDOING, "abort0"},
    {"P:r s o0 F o0 o0 C U a0", CYCLE_IDLE, "dismiss0 unmark end"},
    {"P:r s U", CYCLE_PREPARING, ""},

    /* a verdict that nobody took is kept */
    {"P:r s o0 F o0 o0 C T x o0", CYCLE_HELD, "dismiss0"},
    {"P:r s o0 F o0 o0 C T x o0 T", CYCLE_IDLE, "unmark thawed+ end"},
    {"P:r s o0 F o0 o0 C T T", CYCLE_THAWING, "refuse"},

    /* a thaw before Commit undoes the freeze */
    {"P:r s o0 F T", CYCLE_UNDOING, "abort0 failing"},
    {"P:r s o0 F T a0", CYCLE_IDLE, "dismiss0 unmark thawed- failed end"},
    {"T", CYCLE_IDLE, "refuse"},

    /* after a restart */
    {"M", CYCLE_HELD, ""},
    {"M T", CYCLE_IDLE, "unmark thawed- end"},
    {"M U", CYCLE_IDLE, "unmark end"},
    {"M R", CYCLE_HELD, ""},

    /* the marker comes first */
    {"P:r s o0 F m", CYCLE_UNDOING, "abort0 failing"},
    {"P: s F m", CYCLE_IDLE, "failing unmark failed end"},

    /* a call that does not fit */
    {"F", CYCLE_IDLE, "refuse"},
    {"C", CYCLE_IDLE, "refuse"},
    {"P:r F", CYCLE_PREPARING, "refuse"},
    {"P:r s o0 C", CYCLE_PREPARED, "refuse"},
    {"P:r s o0 P:r", CYCLE_PREPARED, "refuse"},

    /* an answer that crossed our abort says nothing */
    {"P:rr s o0 o1 F f1 o0", CYCLE_UNDOING, ""},

    /* a rehearsal: no marker, no Commit, and a freeze goes before it */
    {"Pr:r s o0 F", CYCLE_FREEZING, "freeze0"},
    {"Pr:r s o0 F o0 o0", CYCLE_FROZEN, "frozen"},
    {"Pr:r s o0 F o0 o0 C", CYCLE_FROZEN, "refuse"},
    {"Pr:r s o0 F o0 o0 X", CYCLE_UNDOING, "abort0 failing"},
    {"Pr:r s o0 F o0 o0 U", CYCLE_UNDOING, "abort0"},
    {"Pr:r s o0 F o0 o0 U a0", CYCLE_FAILED, "dismiss0 unmark"},
    {"Pr:r s o0 F o0 o0 U a0 X P:r", CYCLE_PREPARING, "sync prepare0"},
    {"Pr:r s o0 F f0 a0 P:r", CYCLE_PREPARING, "sync prepare0"},
    {"P:r s o0 F f0 a0 Pr:r", CYCLE_PREPARING, "sync prepare0"},
    {"P:r s o0 F f0 a0 Pr:r s f0 a0 P:r", CYCLE_IDLE, "retry"},
    {"P:r s o0 F f0 a0 Pr+:r s f0 a0 P:r", CYCLE_PREPARING, "sync prepare0"},

    /* retry-after */
    {"P:r s o0 F f0 a0 P:r", CYCLE_IDLE, "retry"},
    {"P:r s o0 F f0 a0 E P:r", CYCLE_PREPARING, "sync prepare0"},
    {"P:r s f0 a0 P:r", CYCLE_PREPARING, "sync prepare0"},
    {"P:r s o0 F o0 o0 X a0 P:r", CYCLE_IDLE, "retry"},
    {"P:r s o0 F f0 a0 P+:r", CYCLE_PREPARING, "sync prepare0"},
    {"P:r s o0 F m a0 P:r", CYCLE_PREPARING, "sync prepare0"},
};

static const char *action_name(enum cycle_action_type type, const struct cycle *cycle)
{
    switch (type) {
    case CYCLE_ACTION_PREPARE_APP: return "prepare#";
    case CYCLE_ACTION_FREEZE_APP: return "freeze#";
    case CYCLE_ACTION_CHECK_APP: return "check#";
    case CYCLE_ACTION_THAW_APP: return "thaw#";
    case CYCLE_ACTION_ABORT_APP: return "abort#";
    case CYCLE_ACTION_KILL_APP: return "kill#";
    case CYCLE_ACTION_GIVE_UP_APP: return "give-up#";
    case CYCLE_ACTION_DISMISS_APP: return "dismiss#";
    case CYCLE_ACTION_SYNC: return "sync";
    case CYCLE_ACTION_ABANDON_SYNC: return "drop-sync";
    case CYCLE_ACTION_MARK: return "mark";
    case CYCLE_ACTION_FREEZE_FAILED: return "failing";
    case CYCLE_ACTION_HOLDS_ENDED: return "ended";
    case CYCLE_ACTION_UNMARK: return "unmark";
    case CYCLE_ACTION_END: return "end";
    case CYCLE_ACTION_ANSWER_PREPARED: return "prepared";
    case CYCLE_ACTION_ANSWER_FROZEN: return "frozen";
    case CYCLE_ACTION_ANSWER_COMMITTED: return "committed";
    case CYCLE_ACTION_ANSWER_FAILED: return "failed";
    case CYCLE_ACTION_ANSWER_THAWED: return cycle_consistent(cycle) ? "thawed+" : "thawed-";
    case CYCLE_ACTION_REFUSE_RETRY: return "retry";
    case CYCLE_ACTION_REFUSE_STATE: return "refuse";
    }
    abort();
}

static void write_actions(const struct cycle *cycle, const struct cycle_actions *actions,
                          char *text, size_t size)
{
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < actions->n; i++) {
        const char *name = action_name(actions->list[i].type, cycle);
        size_t length = strcspn(name, "#");

        n += (size_t)snprintf(text + n, size - n, "%s%.*s", n > 0 ? " " : "", (int)length, name);
        if (name[length] == '#') {
            n += (size_t)snprintf(text + n, size - n, "%u", actions->list[i].app);
        }
        assert_true(n < size);
    }
}

static struct cycle_plan plan_of(const char *apps, uint64_t now)
{
    struct cycle_plan plan = {
        .n_apps = (unsigned)strlen(apps),
        .forward_deadline = now + 15 * SECOND,
        .undo_deadline = now + 20 * SECOND,
        .settings =
            {
                .hold_timeout = 120 * SECOND,
                .hold_attempt = 5 * SECOND,
                .retry_after = 15 * SECOND,
                .sync = true,
            },
    };

    for (unsigned i = 0; i < plan.n_apps; i++) {
        plan.required |= (uint64_t)(apps[i] == 'r') << i;
    }
    return plan;
}

static enum cycle_event_type event_of(char letter)
{
    switch (letter) {
    case 'P': return CYCLE_EVENT_PREPARE;
    case 'F': return CYCLE_EVENT_FREEZE;
    case 'C': return CYCLE_EVENT_COMMIT;
    case 'X': return CYCLE_EVENT_OWNER_GONE;
    case 'T': return CYCLE_EVENT_THAW;
    case 'x': return CYCLE_EVENT_THAWER_GONE;
    case 'R': return CYCLE_EVENT_RELEASE;
    case 'U': return CYCLE_EVENT_SUPERSEDE;
    case 'E': return CYCLE_EVENT_RESET;
    case 'o': return CYCLE_EVENT_APP_OK;
    case 'k': return CYCLE_EVENT_APP_SKIPPED;
    case 'f': return CYCLE_EVENT_APP_FAILED;
    case 'l': return CYCLE_EVENT_APP_LOST;
    case 'a': return CYCLE_EVENT_APP_ABORTED;
    case 'g': return CYCLE_EVENT_APP_GONE;
    case 's': return CYCLE_EVENT_SYNCED;
    case 't': return CYCLE_EVENT_TIME;
    case 'Z': return CYCLE_EVENT_TERMINATE;
    case 'M': return CYCLE_EVENT_MARKER_FOUND;
    case 'm': return CYCLE_EVENT_MARKER_FAILED;
    default: fail_msg("no event '%c'", letter); abort();
    }
}

static void go(struct cycle *cycle, const char *word, uint64_t *now, struct cycle_actions *actions)
{
    struct cycle_event event = {.type = event_of(word[0])};
    struct cycle_plan plan;

    if (event.type == CYCLE_EVENT_PREPARE) {
        plan = plan_of(strchr(word, ':') + 1, *now);
        plan.config_changed = strchr(word, '+') != NULL;
        plan.rehearsal = word[1] == 'r';
        event.plan = &plan;
    } else if (event.type == CYCLE_EVENT_FREEZE) {
        event.sync = word[1] == 's';
    } else if (event.type == CYCLE_EVENT_THAW) {
        event.deadline = *now + 4 * SECOND;
    } else if (event.type == CYCLE_EVENT_TIME) {
        *now = cycle_next_deadline(cycle);
        assert_true(*now != UINT64_MAX);
    } else if (word[1] != '\0') {
        event.app = (unsigned)(word[1] - '0');
    }
    cycle_event(cycle, &event, *now, actions);
}

static void go_all(struct cycle *cycle, const char *way, uint64_t *now,
                   struct cycle_actions *actions)
{
    char *rest = NULL;
    char copy[256];

    (void)snprintf(copy, sizeof(copy), "%s", way);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        go(cycle, word, now, actions);
    }
}

static void test_each_transition(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct cycle cycle = {.state = CYCLE_IDLE};
        struct cycle_actions actions = {.n = 0};
        uint64_t now = START;
        char done[512];

        go_all(&cycle, table[i].way, &now, &actions);
        write_actions(&cycle, &actions, done, sizeof(done));
        if (cycle.state != table[i].state || strcmp(done, table[i].actions) != 0) {
            fail_msg("'%s' leads to %s with '%s', not to %s with '%s'", table[i].way,
                     name_of_state(cycle.state), done, name_of_state(table[i].state),
                     table[i].actions);
        }
    }
}

static void test_hold_deadline_counts_from_before_the_first_hold(void **state)
{
    struct cycle cycle = {.state = CYCLE_IDLE};
    struct cycle_actions actions;
    uint64_t now = START;

    (void)state;
    go(&cycle, "P:r", &now, &actions);
    go(&cycle, "s", &now, &actions);
    go(&cycle, "o0", &now, &actions);
    now += SECOND;
    go(&cycle, "F", &now, &actions);
    assert_int_equal(cycle.hold_deadline, START + SECOND + 120 * SECOND);
    now += SECOND;
    go(&cycle, "o0", &now, &actions);
    go(&cycle, "o0", &now, &actions);
    go(&cycle, "C", &now, &actions);
    assert_int_equal(cycle_next_deadline(&cycle), START + SECOND + 120 * SECOND);
}

static void test_refusals_do_not_prolong_retry_after(void **state)
{
    struct cycle cycle = {.state = CYCLE_IDLE};
    struct cycle_actions actions;
    uint64_t now = START;
    uint64_t end;

    (void)state;
    go(&cycle, "P:r", &now, &actions);
    go(&cycle, "s", &now, &actions);
    go(&cycle, "o0", &now, &actions);
    go(&cycle, "F", &now, &actions);
    go(&cycle, "g0", &now, &actions);
    end = now + 15 * SECOND;
    now = end - 1;
    go(&cycle, "P:r", &now, &actions);
    assert_int_equal(actions.list[0].type, CYCLE_ACTION_REFUSE_RETRY);
    now = end;
    go(&cycle, "P:r", &now, &actions);
    assert_int_equal(cycle.state, CYCLE_PREPARING);
}

/* Every 5 s for 5 minutes; the agent begins none before the last one has ended. */
static void test_a_host_that_insists_is_let_through_seldom(void **state)
{
    static const struct {
        uint64_t lasts;         /* until the hold fails, in seconds */
        unsigned attempts;
    } hosts[] = {{0, 20}, {2, 15}, {5, 15}, {6, 12}};

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct cycle cycle = {.state = CYCLE_IDLE};
        struct cycle_actions actions;
        uint64_t now = START;
        unsigned attempts = 0;

        for (unsigned k = 0; k < 60; k++) {
            now = now > START + k * 5 * SECOND ? now : START + k * 5 * SECOND;
            go(&cycle, "P:r", &now, &actions);
            if (actions.list[0].type == CYCLE_ACTION_REFUSE_RETRY) {
                continue;
            }
            attempts++;
            go_all(&cycle, "s o0 F", &now, &actions);
            now += hosts[i].lasts * SECOND;
            go_all(&cycle, "f0 a0", &now, &actions);
            assert_int_equal(cycle.state, CYCLE_IDLE);
        }
        assert_int_equal(attempts, hosts[i].attempts);
    }
}

static void test_a_check_does_not_stop_all_writers_for_long(void **state)
{
    struct cycle cycle = {.state = CYCLE_IDLE};
    struct cycle_actions actions;
    uint64_t now = START;

    (void)state;
    go_all(&cycle, "P:ro s o0 o1 F o0 o1", &now, &actions);
    assert_int_equal(cycle.state, CYCLE_CHECKING);
    assert_int_equal(cycle.apps[0].deadline, now + 5 * SECOND);
    assert_int_equal(cycle.apps[1].deadline, now + CYCLE_OPTIONAL_EXTRA);
}

static void test_a_thaw_gives_an_app_that_lets_go_no_more_time(void **state)
{
    struct cycle cycle = {.state = CYCLE_IDLE};
    struct cycle_actions actions;
    uint64_t now = START;
    const struct cycle_event thaw = {.type = CYCLE_EVENT_THAW, .deadline = START + SECOND / 2};

    (void)state;
    go_all(&cycle, "P:r s o0 F o0 o0 C R", &now, &actions);
    assert_int_equal(cycle.apps[0].deadline, now + CYCLE_ABORT_MAX);
    cycle_event(&cycle, &thaw, now, &actions);
    assert_int_equal(cycle.apps[0].deadline, START + SECOND / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_transition),
        cmocka_unit_test(test_hold_deadline_counts_from_before_the_first_hold),
        cmocka_unit_test(test_refusals_do_not_prolong_retry_after),
        cmocka_unit_test(test_a_host_that_insists_is_let_through_seldom),
        cmocka_unit_test(test_a_check_does_not_stop_all_writers_for_long),
        cmocka_unit_test(test_a_thaw_gives_an_app_that_lets_go_no_more_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
