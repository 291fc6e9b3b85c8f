/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * message_ids.h: one id a kind of event, in the field MESSAGE_ID of the journal
 *
 * Each stands in systemd/quiesced.catalog too, with what it means and what to do;
 * tests/packaging/run compares. An id is never given to another event.
 */
#ifndef QUIESCED_MESSAGE_IDS_H
#define QUIESCED_MESSAGE_IDS_H

/* The daemon, of a cycle */
#define MESSAGE_ID_HELD                  "62abf1f99c684326a553dc4f4d37b1da"
#define MESSAGE_ID_CONSISTENT            "cef912930463435ebe853c9fb485a7ab"
#define MESSAGE_ID_NOT_CONSISTENT        "9a0fc771dd3742daab87fc497b5be615"
#define MESSAGE_ID_FREEZE_FAILED         "2b663acb67d54bce828efdf88ddbb886"
#define MESSAGE_ID_REHEARSED             "c07f083209fc4914b4f0f9cb02c45f8e"
#define MESSAGE_ID_HOLDS_ENDED           "9d4e83add97b4a79b4b7cc06bdf9e843"
#define MESSAGE_ID_SUPERSEDED            "7f07b741becd4134834ef4f82d837e28"
#define MESSAGE_ID_RESTARTED             "3d7a999fbc694182943102a9f6c8f3e1"
#define MESSAGE_ID_WARNING               "43d641de33604b26a9de52557efc1447"

/* The daemon, of one app */
#define MESSAGE_ID_APP_HELD              "3ce62ac86acd4ba19fc9227f45f64b08"
#define MESSAGE_ID_APP_LOST              "da36e86138e54e229dd6c980f3b6bf29"
#define MESSAGE_ID_WORKER_KILLED         "8de72a76bdac432aac9c15938c6c592e"
#define MESSAGE_ID_WORKER_STUCK          "22a28145ec9a4f8f9004d89da7c11ac4"
#define MESSAGE_ID_WORKER_SAYS           "1f35a63220094081984b1f792fd5ff2d"

/* fsfreeze-hook */
#define MESSAGE_ID_HOOK_FROZE            "acb4b824afbd4753bab2eacc84c32373"
#define MESSAGE_ID_HOOK_THAWED           "bde1fef43671438b94d01a6cfd49e47d"
#define MESSAGE_ID_HOOK_FAILED           "dec3135a8a5c4c49ac3be533b3277b25"
#define MESSAGE_ID_HOOK_WARNING          "6f98c4ad421a4a639b617c99a71a00c4"

/* Whoever logs */
#define MESSAGE_ID_ENTRIES_DROPPED       "e1144ce13de74454840666e289d39fc8"

#endif
