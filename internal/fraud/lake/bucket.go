package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
)

// maxMarkBytes limits the object that holds how far the lake has been written.
const maxMarkBytes = 4 << 10

// Check returns what is wrong with a lake's address: a folder, or
// s3://BUCKET/PREFIX?region=…&endpoint=…&accessKey=…&secretKey=…. The error quotes none of it.
func Check(address string) error {
	if !strings.HasPrefix(address, "s3:") {
		if address == "" || strings.Contains(address, "://") {
			return errors.New("want a folder, or s3://BUCKET/PREFIX")
		}
		return nil
	}
	_, err := parse(address)
	return err
}

func parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("want s3://BUCKET/PREFIX, with region, endpoint, accessKey and secretKey as parameters where needed")
	}
	for key := range u.Query() {
		switch key {
		case "region", "endpoint", "accessKey", "secretKey":
		default:
			return nil, fmt.Errorf("the parameter %q is unknown; known are region, endpoint, accessKey, secretKey", key)
		}
	}
	return u, nil
}

// Open opens the location of a lake: a folder, which is created on the first write, or a bucket,
// which must exist.
func Open(ctx context.Context, address string) (Files, error) {
	if err := Check(address); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(address, "s3:") {
		return folder(address), nil
	}
	u, err := parse(address)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	load := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})} // failures are returned as errors
	if region := q.Get("region"); region != "" {
		load = append(load, config.WithRegion(region))
	}
	if key := q.Get("accessKey"); key != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(key, q.Get("secretKey"), "")))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("configure S3: %w", err)
	}
	if cfg.Region == "" {
		return nil, errors.New("S3 needs a region: s3://BUCKET/PREFIX?region=REGION, or AWS_REGION")
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		// Servers other than Amazon's support neither buckets as hosts nor trailing checksums.
		if endpoint := q.Get("endpoint"); endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = aws.String(endpoint), true
		}
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	prefix := strings.Trim(u.Path, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &bucket{client, u.Host, prefix}, nil
}

// bucket is a lake in S3-compatible storage, where a file appears only when it is complete.
type bucket struct {
	client       *s3.Client
	name, prefix string
}

// Put implements Files.
func (b *bucket) Put(ctx context.Context, name string, body []byte) error {
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + name), Body: bytes.NewReader(body)})
	return err
}

// Get implements Files.
func (b *bucket) Get(ctx context.Context, name string) ([]byte, error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + name)})
	var none *types.NoSuchKey
	if errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(out.Body, maxMarkBytes))
	return raw, errors.Join(err, out.Body.Close())
}

// Clear implements Files.
func (b *bucket) Clear(ctx context.Context) error {
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: aws.String(b.prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			name := strings.TrimPrefix(aws.ToString(o.Key), b.prefix)
			if !ours.MatchString(name) && name != markName {
				continue
			}
			if _, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: o.Key}); err != nil {
				return err
			}
		}
	}
	return nil
}
