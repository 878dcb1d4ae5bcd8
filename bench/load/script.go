package load

import (
	"embed"
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Made-up text must cost a server what real text does: several scripts, so that
// a character is one to four bytes, and the redundancy of a language, neither
// that of random bytes nor that of one phrase again and again. So words are drawn
// by Zipf's law, as in any language: the first ranks are a few hundred real words,
// in words/*.txt by falling frequency, and the long tail behind them is invented
// of syllables, each rank the same word at all times. TestScriptCompressesAsRealTextDoes
// holds the outcome against real text.

const (
	vocabulary   = 10_000 // words of a language, invented ones included
	wordExponent = 1.0    // of Zipf's law, as measured in most languages

	sentenceWords = 12 // at most
	messageParts  = 2  // sentences at most
)

//go:embed words
var wordFiles embed.FS

// language is what messages of one language are made of.
type language struct {
	weight   int // of its choice
	words    []string
	pieces   []string // of invented words
	fewest   int      // pieces of an invented word
	most     int
	space    string // between words
	comma    string
	stops    []string // ends of sentences
	capitals bool     // sentences begin with one
}

// script writes messages in several languages. It is read-only once made.
type script struct {
	languages []language
	weights   int // their sum
	ranks     zipf
}

func newScript() *script {
	s := &script{languages: languages(), ranks: newZipf(vocabulary, wordExponent)}
	for i := range s.languages {
		s.weights += s.languages[i].weight
	}
	return s
}

func languages() []language {
	latin, cjk := []string{".", ".", "!", "?", ""}, []string{"。", "。", "!", "?", ""}
	return []language{
		{weight: 40, words: words("en"), pieces: strings.Fields(englishPieces), fewest: 2, most: 3, space: " ", comma: ", ", stops: latin, capitals: true},
		{weight: 10, words: words("es"), pieces: strings.Fields(spanishPieces), fewest: 2, most: 4, space: " ", comma: ", ", stops: latin, capitals: true},
		{weight: 12, words: words("ru"), pieces: strings.Fields(russianPieces), fewest: 2, most: 4, space: " ", comma: ", ", stops: latin, capitals: true},
		{weight: 18, words: words("zh"), pieces: characters(chinesePieces), fewest: 1, most: 2, comma: ",", stops: cjk},
		{weight: 8, words: words("ja"), pieces: characters(japanesePieces), fewest: 2, most: 5, comma: "、", stops: cjk},
		{weight: 6, words: words("ar"), pieces: strings.Fields(arabicPieces), fewest: 2, most: 3, space: " ", comma: "، ", stops: []string{".", "!", "؟", ""}},
		{weight: 6, words: words("hi"), pieces: strings.Fields(hindiPieces), fewest: 2, most: 4, space: " ", comma: ", ", stops: []string{"।", "।", "?", ""}},
	}
}

func words(language string) []string {
	text, err := wordFiles.ReadFile("words/" + language + ".txt")
	if err != nil {
		panic("load: embedded words: " + err.Error())
	}
	return strings.Fields(string(text))
}

// characters returns those of text, white space left out.
func characters(text string) []string {
	return strings.Split(strings.Join(strings.Fields(text), ""), "")
}

// The syllables and characters of invented words.
const (
	englishPieces = `ter ing con pro ment er re com in de tion ly ness al ex ar ver per sta mar ber den lin son ton
		ford bur ham ley win ger ck st or ight ound ake ell ine ay oo ea sh ch th br cr tr pl gr`
	spanishPieces = `ca da do ta to ra ro ci ción mente re des con pro tra per mar lo la na no te ti si co cu ba be bi
		go gu ja je lle lla mi mo ñe ño pa pe po que ri se so su va ve vi za`
	russianPieces = `ра ро ре ни на не та то те ть ст пре при про по пере под раз рас от об ов ев ин ан ен ск ск ий ый ая
		ое ого ому ами ция ность ение ться ла ло ли ва ви ве да до ди ка ко ки ма мо ми са со си`
	chinesePieces = `安白班包保报备背本笔边变标表别冰病波布步部采菜参草层产常场厂车成程城吃持冲虫出初除处传船窗创春词此次村存答带
		单但当刀导灯低底点典店调定丢冬动都读度短段断队对顿朵发法反饭方房放飞费分风封夫服福府父复改概干刚格根更工共古谷故顾瓜挂管光广
		规国果过海害汉航河黑红湖花华画化坏环黄灰回火货机积级急集记际济继加价架间检建江将讲交角教接街节结解介界金进近京经精景净静九旧居
		局具据决军开康考科课空口苦块况拉蓝老乐类离李理力立利连脸凉两林零龙楼录陆落绿马满毛贸眉美梦米密面民命某木目南内年念鸟牛农努欧排
		派盘跑片平苹破期其齐奇器汽千前钱墙桥轻清情秋求取全群然染热认任日容肉如赛三散色森山善商少设深神升声省失十石实史使士世市式试室收
		手首术树双思死四松送速算岁所太谈特提题体条铁停通同头图土团推外完王望危微围维卫温文闻屋五午武物西息习喜夏先鲜显现线香响向项消效
		协谢新兴星形性姓雄休修需许选雪训压亚严言眼演阳样药业夜衣医依移以义艺议易益音银引印英影永油游友有又右鱼雨语育元园员原远院愿月越
		云运杂再造则增展站张章招者真整正政证支直值职纸指志制质治中终种重洲主住助注著专转装状准资子字总走组最作左坐座`
	japanesePieces = `アイウエオカキクケコサシスセソタチツテトナニノハヒフヘホマミムメモヤユヨラリルレロワンガギグゲゴザジズデドバビブベボパピプペポー`
	arabicPieces   = `ال م ست مت ت ي ن ب كت در عل حس فر سم رح جم قد طر شر نظ بح خر دخ صل عرض حكم ملك فتح سلم ات ون ين ة
		ها هم نا كم ي ان وا ية تها`
	hindiPieces = `का की के को ना नी ने ता ती ते रा री रे सा सी से ला ली ले मा मी मे पा पी पे वि प्र सं अनु परि आधि नि दु
		सु कार्य त्र क्ष ज्ञ ण त्व ता पन वार शा शि यो या यी गा गी जा जी दा दी धा बा भा हा`
	emoji = `😀😂🤣😊😍😘😎🤔😅😭😢😡👍👎👏🙏💪👋🎉🎂🎁❤💔🔥✨🌞🌧❄🍕🍜🍣🍺☕🚗🚆✈🏠📷📞💻📎📅✅❌❓❗💯🐶🐱🌸`
)

// append appends size bytes at least of text in one language: as many messages as
// it takes, with a space between them.
func (s *script) append(dst []byte, size int, rng *rand.Rand) []byte {
	l := s.language(rng)
	for end := len(dst) + size; ; dst = append(dst, ' ') {
		if dst = s.message(dst, l, rng); len(dst) >= end {
			return dst
		}
	}
}

func (s *script) language(rng *rand.Rand) *language {
	at := rng.IntN(s.weights)
	for i := range s.languages {
		if at -= s.languages[i].weight; at < 0 {
			return &s.languages[i]
		}
	}
	panic("load: a weight beyond the sum of all")
}

// message appends one message, never an empty one: mostly sentences, now and then
// something that no dictionary has.
func (s *script) message(dst []byte, l *language, rng *rand.Rand) []byte {
	switch p := rng.IntN(100); {
	case p < 4:
		return appendEmoji(dst, 1+rng.IntN(3), rng)
	case p < 7:
		return s.url(dst, rng)
	case p < 9:
		return s.code(dst, rng)
	}
	for i := range 1 + rng.IntN(messageParts) {
		if i > 0 {
			dst = append(dst, l.space...)
		}
		dst = s.sentence(dst, l, rng)
	}
	if rng.IntN(8) == 0 {
		dst = appendEmoji(append(dst, l.space...), 1+rng.IntN(2), rng)
	}
	return dst
}

func (s *script) sentence(dst []byte, l *language, rng *rand.Rand) []byte {
	start := len(dst)
	for i := range 1 + rng.IntN(sentenceWords) {
		switch {
		case i == 0:
		case rng.IntN(9) == 0:
			dst = append(dst, l.comma...)
		default:
			dst = append(dst, l.space...)
		}
		if rng.IntN(30) == 0 {
			dst = appendNumber(dst, rng)
		} else {
			dst = s.word(dst, l, rng)
		}
	}
	if l.capitals {
		dst = capitalize(dst, start)
	}
	return append(dst, l.stops[rng.IntN(len(l.stops))]...)
}

// word appends a word of l: a real one, or behind the last of them that of its rank.
func (s *script) word(dst []byte, l *language, rng *rand.Rand) []byte {
	rank := s.ranks.rank(rng)
	if rank < uint64(len(l.words)) {
		return append(dst, l.words[rank]...)
	}
	bits := mixBits(rank)
	for range l.fewest + int(bits%uint64(l.most-l.fewest+1)) {
		bits = mixBits(bits)
		dst = append(dst, l.pieces[bits%uint64(len(l.pieces))]...)
	}
	return dst
}

// capitalize turns the letter at start into a capital. All letters of the words
// that may stand there have capitals of the same size; a digit stays.
func capitalize(dst []byte, start int) []byte {
	letter, size := utf8.DecodeRune(dst[start:])
	utf8.AppendRune(dst[:start], sameSize(unicode.ToUpper(letter), letter, size))
	return dst
}

func sameSize(upper, letter rune, size int) rune {
	if utf8.RuneLen(upper) != size {
		return letter
	}
	return upper
}

// appendNumber appends a small number, a time, a date or a price.
func appendNumber(dst []byte, rng *rand.Rand) []byte {
	switch rng.IntN(4) {
	case 0:
		return strconv.AppendInt(append(pair(dst, 6+rng.IntN(17)), ':'), int64(10+5*rng.IntN(10)), 10)
	case 1:
		return pair(append(pair(append(dst, "2026-"...), 1+rng.IntN(12)), '-'), 1+rng.IntN(28))
	case 2:
		return append(strconv.AppendInt(dst, int64(1+rng.IntN(500)), 10), ".50"...)
	}
	return strconv.AppendInt(dst, int64(1+rng.IntN(100)), 10)
}

// pair appends n, below 100, in two digits.
func pair(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

func (s *script) url(dst []byte, rng *rand.Rand) []byte {
	english := &s.languages[0]
	dst = append(dst, "https://www."...)
	dst = append(s.word(dst, english, rng), ".example/"...)
	dst = append(s.word(dst, english, rng), '/')
	return append(strconv.AppendUint(append(dst, "?id="...), uint64(rng.Uint32()), 36), "&ref=chat"...)
}

// code appends what programmers paste; it has quotes and backslashes to escape.
func (s *script) code(dst []byte, rng *rand.Rand) []byte {
	english := &s.languages[0]
	dst = append(s.word(append(dst, "if err := "...), english, rng), '.')
	dst = append(s.word(dst, english, rng), `(ctx, "`...)
	dst = append(s.word(dst, english, rng), "\\n\"); err != nil {\n\treturn err\n}"...)
	return dst
}

func appendEmoji(dst []byte, n int, rng *rand.Rand) []byte {
	for range n {
		at := rng.IntN(len(emoji))
		for !utf8.RuneStart(emoji[at]) {
			at--
		}
		_, size := utf8.DecodeRuneInString(emoji[at:])
		dst = append(dst, emoji[at:at+size]...)
	}
	return dst
}
