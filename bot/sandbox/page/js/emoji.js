// Emoji short codes of everyday use and of the bot's own messages. A code that is not here stays as typed.

const TABLE = `
grinning 😀|smile 😄|smiley 😃|grin 😁|joy 😂|sweat_smile 😅|slightly_smiling_face 🙂|wink 😉|blush 😊|heart_eyes 😍|sunglasses 😎
thinking_face 🤔|neutral_face 😐|face_with_rolling_eyes 🙄|disappointed 😞|cry 😢|sob 😭|scream 😱|sleeping 😴|nerd_face 🤓|star-struck 🤩
upside_down_face 🙃|zany_face 🤪|hugging_face 🤗|exploding_head 🤯|partying_face 🥳|see_no_evil 🙈|robot_face 🤖|skull 💀|ghost 👻|alien 👽
wave 👋|+1 👍|thumbsup 👍|-1 👎|thumbsdown 👎|clap 👏|pray 🙏|raised_hands 🙌|ok_hand 👌|muscle 💪|point_right 👉|point_left 👈|point_up ☝️
point_down 👇|crossed_fingers 🤞|v ✌️|writing_hand ✍️|eyes 👀|brain 🧠|handshake 🤝|raised_hand ✋|fist ✊
heart ❤️|orange_heart 🧡|yellow_heart 💛|green_heart 💚|blue_heart 💙|purple_heart 💜|broken_heart 💔|sparkling_heart 💖|100 💯|boom 💥|fire 🔥
sparkles ✨|star ⭐|star2 🌟|zap ⚡|sunny ☀️|cloud ☁️|rainbow 🌈|snowflake ❄️|droplet 💧|ocean 🌊|earth_africa 🌍|crescent_moon 🌙
white_check_mark ✅|heavy_check_mark ✔️|ballot_box_with_check ☑️|x ❌|negative_squared_cross_mark ❎|heavy_multiplication_x ✖️|warning ⚠️
no_entry ⛔|no_entry_sign 🚫|octagonal_sign 🛑|exclamation ❗|question ❓|grey_question ❔|bangbang ‼️|information_source ℹ️|sos 🆘|new 🆕|ok 🆗
red_circle 🔴|large_red_circle 🔴|large_orange_circle 🟠|large_yellow_circle 🟡|large_green_circle 🟢|large_blue_circle 🔵|large_purple_circle 🟣
white_circle ⚪|black_circle ⚫|large_green_square 🟩|large_yellow_square 🟨|large_red_square 🟥|large_blue_square 🟦|white_large_square ⬜
black_large_square ⬛|small_blue_diamond 🔹|small_orange_diamond 🔸|radio_button 🔘|arrow_right ➡️|arrow_left ⬅️|arrow_up ⬆️|arrow_down ⬇️
arrows_counterclockwise 🔄|repeat 🔁|twisted_rightwards_arrows 🔀|fast_forward ⏩|rewind ⏪|arrow_forward ▶️|double_vertical_bar ⏸️
black_square_for_stop ⏹️|heavy_plus_sign ➕|heavy_minus_sign ➖|infinity ♾️|hash #️⃣|one 1️⃣|two 2️⃣|three 3️⃣|four 4️⃣|five 5️⃣|six 6️⃣|zero 0️⃣
hourglass ⌛|hourglass_flowing_sand ⏳|stopwatch ⏱️|timer_clock ⏲️|alarm_clock ⏰|clock1 🕐|watch ⌚|calendar 📅|date 📅|spiral_calendar_pad 🗓️
rocket 🚀|airplane ✈️|car 🚗|bike 🚲|checkered_flag 🏁|triangular_flag_on_post 🚩|trophy 🏆|medal 🏅|first_place_medal 🥇|dart 🎯|game_die 🎲
tada 🎉|confetti_ball 🎊|balloon 🎈|gift 🎁|bell 🔔|no_bell 🔕|mega 📣|loudspeaker 📢|speech_balloon 💬|thought_balloon 💭|musical_note 🎵
bulb 💡|mag 🔍|mag_right 🔎|lock 🔒|unlock 🔓|key 🔑|closed_lock_with_key 🔐|shield 🛡️|wrench 🔧|hammer 🔨|hammer_and_wrench 🛠️|gear ⚙️
nut_and_bolt 🔩|link 🔗|paperclip 📎|pushpin 📌|round_pushpin 📍|scissors ✂️|pencil 📝|memo 📝|pencil2 ✏️|straight_ruler 📏|triangular_ruler 📐
file_folder 📁|open_file_folder 📂|page_facing_up 📄|bookmark_tabs 📑|clipboard 📋|card_index_dividers 🗂️|wastebasket 🗑️|package 📦|inbox_tray 📥
outbox_tray 📤|incoming_envelope 📨|envelope ✉️|mailbox 📫|books 📚|book 📖|notebook 📓|label 🏷️|bookmark 🔖|newspaper 📰|scroll 📜
bar_chart 📊|chart_with_upwards_trend 📈|chart_with_downwards_trend 📉|moneybag 💰|dollar 💵|euro 💶|credit_card 💳|receipt 🧾|scales ⚖️|abacus 🧮
computer 💻|desktop_computer 🖥️|keyboard ⌨️|floppy_disk 💾|cd 💿|battery 🔋|electric_plug 🔌|satellite 🛰️|globe_with_meridians 🌐|telephone ☎️
microscope 🔬|telescope 🔭|test_tube 🧪|dna 🧬|alembic ⚗️|magnet 🧲|control_knobs 🎛️|level_slider 🎚️|bug 🐛|ant 🐜|bee 🐝|turtle 🐢|snail 🐌
cat 🐱|dog 🐶|mouse 🐭|fox_face 🦊|bear 🐻|panda_face 🐼|penguin 🐧|owl 🦉|unicorn_face 🦄|whale 🐳|octopus 🐙|llama 🦙|seedling 🌱|evergreen_tree 🌲
coffee ☕|tea 🍵|beer 🍺|pizza 🍕|cake 🍰|cookie 🍪|apple 🍎|banana 🍌|avocado 🥑|bread 🍞|egg 🥚|cheese_wedge 🧀|salad 🥗|spaghetti 🍝|shallow_pan_of_food 🥘
construction 🚧|rotating_light 🚨|ambulance 🚑|fire_extinguisher 🧯|house 🏠|office 🏢|factory 🏭|hospital 🏥|bank 🏦|school 🏫|world_map 🗺️
busts_in_silhouette 👥|bust_in_silhouette 👤|technologist 🧑‍💻|scientist 🧑‍🔬|student 🧑‍🎓|recycle ♻️|copyright ©️|tm ™️
`;

const CODES = new Map(
  TABLE.trim()
    .split(/[|\n]/)
    .map((entry) => {
      const space = entry.indexOf(" ");
      return [entry.slice(0, space), entry.slice(space + 1)];
    }),
);

/** Offered first when somebody reacts to a message. */
export const FREQUENT = ["+1", "eyes", "white_check_mark", "tada", "rocket", "heart", "joy", "thinking_face", "x", "-1", "fire", "bulb"];

/** The character of a short code, or null. Skin tones are dropped. */
export function emoji(name) {
  return CODES.get(String(name).split("::")[0]) ?? null;
}

/** Replace :codes: in a plain text. */
export function withEmoji(text) {
  return String(text).replace(/:([a-z0-9_+'-]+)(?:::skin-tone-\d)?:/g, (whole, name) => emoji(name) ?? whole);
}

/** Codes that start with or contain a word, for suggestions. */
export function findEmoji(word, limit = 8) {
  const starts = [];
  const contains = [];
  for (const [name, character] of CODES) {
    if (name.startsWith(word)) starts.push({ name, character });
    else if (name.includes(word)) contains.push({ name, character });
  }
  return [...starts, ...contains].slice(0, limit);
}
