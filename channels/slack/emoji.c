// SPDX-License-Identifier: Apache-2.0
/*
 * Emoji by Slack's names and by Unicode: the common ones. The whole list has some 1,900 and changes each year; what is not here is
 * told as it came (":name:") or refused with words, never guessed. Where Slack knows two names the one that it reports comes first.
 */
#include <string.h>
#include "base/str.h"
#include "channels/slack/slack.h"

/* clang-format off */
static const struct {
	const char *utf8, *name;
} emoji[] = {
	{"👍", "+1"}, {"👎", "-1"}, {"❤", "heart"}, {"🧡", "orange_heart"},
	{"💛", "yellow_heart"}, {"💚", "green_heart"}, {"💙", "blue_heart"},
	{"💜", "purple_heart"}, {"🖤", "black_heart"}, {"🤍", "white_heart"},
	{"💔", "broken_heart"}, {"💕", "two_hearts"}, {"💖", "sparkling_heart"},
	{"😀", "grinning"}, {"😃", "smiley"}, {"😄", "smile"}, {"😁", "grin"},
	{"😆", "laughing"}, {"😅", "sweat_smile"}, {"🤣", "rolling_on_the_floor_laughing"},
	{"😂", "joy"}, {"🙂", "slightly_smiling_face"}, {"🙃", "upside_down_face"},
	{"😉", "wink"}, {"😊", "blush"}, {"😇", "innocent"},
	{"🥰", "smiling_face_with_3_hearts"}, {"😍", "heart_eyes"}, {"🤩", "star-struck"},
	{"😘", "kissing_heart"}, {"😋", "yum"}, {"😛", "stuck_out_tongue"},
	{"😜", "stuck_out_tongue_winking_eye"}, {"🤪", "zany_face"}, {"🤗", "hugging_face"},
	{"🤭", "face_with_hand_over_mouth"}, {"🤫", "shushing_face"}, {"🤔", "thinking_face"},
	{"🤐", "zipper_mouth_face"}, {"🤨", "face_with_raised_eyebrow"},
	{"😐", "neutral_face"}, {"😑", "expressionless"}, {"😶", "no_mouth"}, {"😏", "smirk"},
	{"😒", "unamused"}, {"🙄", "face_with_rolling_eyes"}, {"😬", "grimacing"},
	{"😌", "relieved"}, {"😔", "pensive"}, {"😪", "sleepy"}, {"😴", "sleeping"},
	{"😷", "mask"}, {"🤒", "face_with_thermometer"}, {"🤕", "face_with_head_bandage"},
	{"🤢", "nauseated_face"}, {"🤮", "face_vomiting"}, {"🤧", "sneezing_face"},
	{"🥵", "hot_face"}, {"🥶", "cold_face"}, {"😵", "dizzy_face"},
	{"🤯", "exploding_head"}, {"🤠", "face_with_cowboy_hat"}, {"🥳", "partying_face"},
	{"😎", "sunglasses"}, {"🤓", "nerd_face"}, {"🧐", "face_with_monocle"},
	{"😕", "confused"}, {"😟", "worried"}, {"🙁", "slightly_frowning_face"},
	{"😮", "open_mouth"}, {"😯", "hushed"}, {"😲", "astonished"}, {"😳", "flushed"},
	{"🥺", "pleading_face"}, {"😨", "fearful"}, {"😰", "cold_sweat"},
	{"😥", "disappointed_relieved"}, {"😢", "cry"}, {"😭", "sob"}, {"😱", "scream"},
	{"😖", "confounded"}, {"😞", "disappointed"}, {"😓", "sweat"}, {"😩", "weary"},
	{"😫", "tired_face"}, {"🥱", "yawning_face"}, {"😤", "triumph"}, {"😡", "rage"},
	{"😠", "angry"}, {"🤬", "face_with_symbols_on_mouth"}, {"😈", "smiling_imp"},
	{"💀", "skull"}, {"💩", "hankey"}, {"🤡", "clown_face"}, {"👻", "ghost"},
	{"👽", "alien"}, {"🤖", "robot_face"}, {"🙈", "see_no_evil"}, {"🙉", "hear_no_evil"},
	{"🙊", "speak_no_evil"}, {"👋", "wave"}, {"✋", "hand"}, {"👌", "ok_hand"}, {"✌", "v"},
	{"🤞", "crossed_fingers"}, {"🤘", "the_horns"}, {"🤙", "call_me_hand"},
	{"👈", "point_left"}, {"👉", "point_right"}, {"👆", "point_up_2"},
	{"👇", "point_down"}, {"☝", "point_up"}, {"✊", "fist"}, {"👊", "facepunch"},
	{"👏", "clap"}, {"🙌", "raised_hands"}, {"👐", "open_hands"}, {"🤝", "handshake"},
	{"🙏", "pray"}, {"✍", "writing_hand"}, {"💪", "muscle"}, {"👀", "eyes"},
	{"🧠", "brain"}, {"🤷", "shrug"}, {"🤦", "face_palm"}, {"🙋", "raising_hand"},
	{"🏃", "runner"}, {"🎉", "tada"}, {"🎊", "confetti_ball"}, {"🎂", "birthday"},
	{"🎁", "gift"}, {"🏆", "trophy"}, {"🥇", "first_place_medal"}, {"🔥", "fire"},
	{"✨", "sparkles"}, {"⭐", "star"}, {"🌟", "star2"}, {"💫", "dizzy"}, {"⚡", "zap"},
	{"☀", "sunny"}, {"🌈", "rainbow"}, {"☕", "coffee"}, {"🍺", "beer"}, {"🍻", "beers"},
	{"🍕", "pizza"}, {"🍎", "apple"}, {"🌹", "rose"}, {"🐛", "bug"}, {"🦀", "crab"},
	{"🐱", "cat"}, {"🐶", "dog"}, {"🚀", "rocket"}, {"🚗", "car"}, {"✈", "airplane"},
	{"🏠", "house"}, {"💡", "bulb"}, {"🔧", "wrench"}, {"🔨", "hammer"}, {"🔑", "key"},
	{"🔒", "lock"}, {"🔓", "unlock"}, {"📌", "pushpin"}, {"📎", "paperclip"},
	{"📝", "memo"}, {"📅", "date"}, {"📈", "chart_with_upwards_trend"},
	{"📉", "chart_with_downwards_trend"}, {"📦", "package"}, {"📧", "e-mail"},
	{"📞", "telephone_receiver"}, {"💻", "computer"}, {"💰", "moneybag"}, {"🔍", "mag"},
	{"🔗", "link"}, {"🔔", "bell"}, {"⏰", "alarm_clock"},
	{"⏳", "hourglass_flowing_sand"}, {"⌛", "hourglass"}, {"✅", "white_check_mark"},
	{"☑", "ballot_box_with_check"}, {"✔", "heavy_check_mark"}, {"❌", "x"},
	{"❎", "negative_squared_cross_mark"}, {"⚠", "warning"}, {"🚫", "no_entry_sign"},
	{"⛔", "no_entry"}, {"🛑", "octagonal_sign"}, {"❓", "question"},
	{"❗", "exclamation"}, {"💯", "100"}, {"➕", "heavy_plus_sign"},
	{"➖", "heavy_minus_sign"}, {"➡", "arrow_right"}, {"⬅", "arrow_left"},
	{"⬆", "arrow_up"}, {"⬇", "arrow_down"}, {"🔄", "arrows_counterclockwise"},
	{"🆗", "ok"}, {"🆕", "new"}, {"🔴", "red_circle"}, {"🟢", "large_green_circle"},
	{"🟡", "large_yellow_circle"}, {"🔵", "large_blue_circle"}, {"💬", "speech_balloon"},
	{"💭", "thought_balloon"}, {"💤", "zzz"}, {"💥", "boom"}, {"💣", "bomb"},
	{"🎵", "musical_note"}, {"🎯", "dart"}, {"🎮", "video_game"},
	/* other names of some of them, read but never sent */
	{"👍", "thumbsup"}, {"👎", "thumbsdown"}, {"💩", "poop"}, {"👊", "punch"},
	{"✋", "raised_hand"}, {"🏃", "running"}, {"😆", "satisfied"}, {"💥", "collision"},
};
/* clang-format on */

/* U+1F3FB .. U+1F3FF, Slack's skin-tone-2 .. 6: the tone, or 0. */
static int skin_tone(const char *p, size_t n)
{
	if (n < 4 || memcmp(p, "\xf0\x9f\x8f", 3) != 0)
		return 0;
	return (unsigned char)p[3] >= 0xbb && (unsigned char)p[3] <= 0xbf
		       ? (unsigned char)p[3] - 0xbb + 2
		       : 0;
}

bool slack_emoji_name(const char *utf8, char *dst, size_t cap)
{
	char plain[64];
	size_t n = 0, len = strlen(utf8);
	int tone = 0;

	if (len >= sizeof(plain))
		return false;
	for (size_t i = 0; i < len;) {
		int t = skin_tone(utf8 + i, len - i);

		if (t) {
			tone = t;
			i += 4;
		} else if (len - i >= 3 && memcmp(utf8 + i, "\xef\xb8\x8f", 3) == 0) {
			i += 3; /* variation selector: "as a picture" */
		} else {
			plain[n++] = utf8[i++];
		}
	}
	plain[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(emoji); i++) {
		if (!streq(emoji[i].utf8, plain))
			continue;
		if (tone)
			return snprintf(dst, cap, "%s::skin-tone-%d", emoji[i].name, tone) <
			       (int)cap;
		return str_copy(dst, cap, emoji[i].name);
	}
	return false;
}

const char *slack_emoji_text(const char *name, char *dst, size_t cap)
{
	const char *tone = strstr(name, "::");
	size_t n = tone ? (size_t)(tone - name) : strlen(name);

	for (size_t i = 0; i < ARRAY_LEN(emoji); i++) {
		if (strlen(emoji[i].name) == n && memcmp(emoji[i].name, name, n) == 0)
			return emoji[i].utf8;
	}
	snprintf(dst, cap, ":%.*s:", (int)str_utf8_floor(name, n > 100 ? 100 : n), name);
	return dst;
}
