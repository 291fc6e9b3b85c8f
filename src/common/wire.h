/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.h: JSON between our processes
 *
 * Between the daemon and its clients a message is a Varlink frame: an object and
 * a NUL byte on a stream socket. Between the daemon and a worker it is an object a
 * packet, on a SOCK_SEQPACKET pair. Both are bounded and parsed strictly.
 */
#ifndef QUIESCED_WIRE_H
#define QUIESCED_WIRE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_PROTOCOL 1             /* of Prepare and of a worker's first message */
#define WIRE_FRAME_MAX (1024U * 1024) /* bytes, the NUL byte included */
#define WIRE_PACKET_MAX (64U * 1024)
#define WIRE_DEPTH_MAX 16
#define WIRE_TEXT_MAX 1024U         /* a text from a peer is cut to this many bytes */

/* One object, strictly. 0, -EBADMSG or -ENOMEM. *ret_object is the caller's. */
int wire_parse(const char *text, size_t size, json_object **ret_object);

/* Typed members. 0, -ENOENT when absent or null, -EBADMSG when of another type.
 * Strings live as long as @object. */
int wire_get_string(json_object *object, const char *key, const char **ret_text);
int wire_get_uint(json_object *object, const char *key, uint64_t *ret_number);
int wire_get_bool(json_object *object, const char *key, bool *ret_flag);
int wire_get_array(json_object *object, const char *key, json_object **ret_array);
int wire_get_object(json_object *object, const char *key, json_object **ret_member);

/* @text for a member or a message: at most WIRE_TEXT_MAX bytes, control characters
 * and what is not UTF-8 replaced by '?'. To be freed; NULL without memory. */
char *wire_clean(const char *text);

/* What has been read of a stream of frames. Zeroes are an empty one. */
struct wire_buffer {
    char *data;
    size_t start;               /* what has been taken out */
    size_t n;                   /* what follows it */
    size_t allocated;
};
void wire_buffer_free(struct wire_buffer *buffer);
/* Reads once, without waiting. Bytes read, 0 at end of file, -EAGAIN, -EMSGSIZE when
 * a frame is longer than WIRE_FRAME_MAX, or another -errno. Take out all frames
 * before: -ENOBUFS when they leave no room. */
ssize_t wire_buffer_fill(struct wire_buffer *buffer, int fd);
/* Takes out one frame, without its NUL byte. 1, or 0 when none is complete. *ret_frame
 * is the caller's. -ENOMEM. */
int wire_buffer_next(struct wire_buffer *buffer, char **ret_frame, size_t *ret_size);

/* A packet to or from a worker, without waiting. 0 or -errno; at the end of file
 * wire_receive() gives -EPIPE. */
int wire_send(int fd, json_object *object);
int wire_receive(int fd, json_object **ret_object);

/* The client: connects, and exchanges one call for one reply by @deadline. */
struct wire_client {
    int fd;
    struct wire_buffer buffer;
    int wake_fd;                /* when >= 0: readable ends a wait with -EINTR */
};
int wire_connect(const char *path, uint64_t deadline, struct wire_client *ret_client);
void wire_client_close(struct wire_client *client);
/*
 * Calls @method; @parameters (may be NULL) is taken over. 0 with *ret_parameters
 * the reply's; -EREMOTEIO when the reply is an error, its name in *ret_error and
 * its parameters in *ret_parameters (both the caller's); -ETIMEDOUT, -EPIPE, -EINTR
 * and so on.
 */
int wire_call(struct wire_client *client, const char *method, json_object *parameters,
              uint64_t deadline, char **ret_error, json_object **ret_parameters);
/* Says that no call follows, and waits until the server has closed. 0 or -errno. */
int wire_finish(struct wire_client *client, uint64_t deadline);

#endif
